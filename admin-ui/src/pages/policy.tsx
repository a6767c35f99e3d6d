import { Link, List, Stack, Text } from "@chakra-ui/react";
import { Link as RouterLink } from "react-router";
import { usePolicy, type ActivePolicy } from "../api/policy";
import { Facts } from "../components/facts";
import { Loading } from "../components/loading";
import { PageHead } from "../components/page-head";
import { PolicyEditor } from "../components/policy-editor";
import { PolicyHistory } from "../components/policy-history";
import { ProblemAlert } from "../components/problem-alert";
import { Section } from "../components/section";
import { Time } from "../components/time";

/** The policy that every statement is judged by: read it, change it, go back. */
export function PolicyPage() {
  const policy = usePolicy();
  return (
    <>
      <PageHead title="Policy" description="What every statement is judged by. Try one in the playground." />
      {policy.isPending && <Loading what="the policy" />}
      {policy.isError && <ProblemAlert error={policy.error} onRetry={() => void policy.refetch()} />}
      {policy.data && (
        <Stack gap="5">
          <InForce policy={policy.data} />
          <PolicyEditor active={policy.data} />
          <PolicyHistory active={policy.data.epoch} />
          <Observing slugs={policy.data.observing} />
        </Stack>
      )}
    </>
  );
}

function InForce({ policy }: { policy: ActivePolicy }) {
  const { epoch, comment, made_by, made_at, embedded, restores } = policy;
  return (
    <Section
      title="In force"
      actions={
        <Link asChild variant="underline" color="colorPalette.fg" textStyle="sm">
          <RouterLink to="/playground">Playground</RouterLink>
        </Link>
      }
    >
      <Facts
        facts={[
          ["Epoch", epoch],
          ["Comment", comment],
          ["Origin", embedded ? "comes with Palisade" : restores != null && `back to epoch ${restores}`],
          ["By", made_by],
          ["Since", made_at && <Time key="since" iso={made_at} />],
        ]}
      />
    </Section>
  );
}

function Observing({ slugs }: { slugs: string[] }) {
  return (
    <Section title="Tenants that only observe">
      {slugs.length === 0 ? (
        <Text color="fg.muted">None: the policy is enforced for every tenant.</Text>
      ) : (
        <>
          <Text mb="2">What the policy refuses is recorded for these, and PostgreSQL answers.</Text>
          <List.Root ps="5">
            {slugs.map((slug) => (
              <List.Item key={slug}>
                <Link asChild variant="underline">
                  <RouterLink to={`/tenants/${slug}`}>{slug}</RouterLink>
                </Link>
              </List.Item>
            ))}
          </List.Root>
        </>
      )}
    </Section>
  );
}
