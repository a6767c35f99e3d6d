import { Input, List, NativeSelect, Stack, Text } from "@chakra-ui/react";
import { useFormContext, useWatch } from "react-hook-form";
import { useEffect, useState } from "react";
import { usePlans, useSlug, useTemplates } from "../api/queries";
import { asCurl, asPalisade } from "../lib/command";
import { draftSchema, type Draft, type KeyedRequest } from "../lib/draft";
import { limitFacts } from "../lib/limits";
import { CodeBox } from "./code-box";
import { Facts } from "./facts";
import { FormField } from "./form-field";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";

/** The first step: what the tenant is called. */
export function Details() {
  const { register, formState } = useFormContext<Draft>();
  const { errors } = formState;
  const slug = useSlugState(!errors.slug);
  return (
    <Section title="Details">
      <Stack gap="5">
        <FormField label="Slug" required error={errors.slug?.message ?? slug.error} help={slug.help}>
          <Input {...register("slug")} autoComplete="off" autoCapitalize="none" spellCheck={false} />
        </FormField>
        <FormField
          label="Display name"
          error={errors.display_name?.message}
          help="For people. The slug, if left empty."
        >
          <Input {...register("display_name")} autoComplete="off" />
        </FormField>
      </Stack>
    </Section>
  );
}

/** How long the slug waits for the next letter before it is asked for, in milliseconds. */
const TYPING_MS = 300;

/** What the control plane says about the slug that is typed. */
function useSlugState(fits: boolean): { error?: string; help: string } {
  const typed = useWatch<Draft, "slug">({ name: "slug" });
  const [asked, setAsked] = useState("");
  useEffect(() => {
    const valid = fits && draftSchema.shape.slug.safeParse(typed).success;
    const timer = setTimeout(() => setAsked(valid ? typed : ""), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, fits]);
  const answer = useSlug(asked).data;
  const help = "Its database name in connection strings, such as acme.";
  if (!answer || answer.slug !== typed) return { help };
  if (answer.available) return { help: `${typed} is free. ${help}` };
  const instead = answer.suggestion ? `; ${answer.suggestion} is free` : "";
  return { help, error: `${answer.detail ?? `the slug ${typed} cannot be taken`}${instead}` };
}

/** The second step: what it is made from. */
export function Configuration() {
  const { register, formState } = useFormContext<Draft>();
  const templates = useTemplates();
  const plans = usePlans();
  const chosen = useWatch<Draft, "plan">({ name: "plan" }) || "default";
  const plan = plans.data?.items.find(({ name }) => name === chosen);
  return (
    <Section title="Configuration">
      <Stack gap="5">
        {templates.isError && (
          <ProblemAlert error={templates.error} onRetry={() => void templates.refetch()} />
        )}
        <FormField label="Template" help="The tables and functions that the tenant begins with.">
          <NativeSelect.Root disabled={templates.isPending}>
            <NativeSelect.Field {...register("template")}>
              <option value="">the control plane&apos;s default</option>
              {templates.data?.items.map(({ name, version }) => (
                <option key={name} value={name}>
                  {name} (version {version})
                </option>
              ))}
            </NativeSelect.Field>
            <NativeSelect.Indicator />
          </NativeSelect.Root>
        </FormField>
        {plans.isError && <ProblemAlert error={plans.error} onRetry={() => void plans.refetch()} />}
        <FormField label="Plan" error={formState.errors.plan?.message} help={plan?.description}>
          <NativeSelect.Root disabled={plans.isPending}>
            <NativeSelect.Field {...register("plan")}>
              <option value="">default</option>
              {plans.data?.items
                .filter(({ name }) => name !== "default")
                .map(({ name }) => (
                  <option key={name} value={name}>
                    {name}
                  </option>
                ))}
            </NativeSelect.Field>
            <NativeSelect.Indicator />
          </NativeSelect.Root>
        </FormField>
        {plan && limitFacts(plan.limits).length > 0 && <Facts facts={limitFacts(plan.limits)} />}
        <Text color="fg.muted" textStyle="sm">
          The tenant gets the logins owner, app and readonly, each held to the policy of its kind.
        </Text>
      </Stack>
    </Section>
  );
}

const WILL_RUN = [
  "Reserve the slug.",
  "Make roles, a schema, its objects from the template, and grants.",
  "Verify the schema, and that PostgreSQL refuses what it must.",
  "Probe the same through the proxy.",
  "Open the tenant to its logins. A step that fails takes everything back.",
];

/** The third step: what will be sent, here or from a terminal. */
export function Confirmation({ request }: { request: KeyedRequest }) {
  const { body, key } = request;
  return (
    <>
      <Section title="Confirmation">
        <Facts
          facts={[
            ["Slug", body.slug],
            ["Display name", body.display_name ?? body.slug],
            ["Template", body.template ?? "the control plane's default"],
            ["Plan", body.plan ?? "default"],
          ]}
        />
        <Text mt="4" fontWeight="medium">
          This will run:
        </Text>
        <List.Root as="ol" ps="5" gap="1">
          {WILL_RUN.map((line) => (
            <List.Item key={line}>{line}</List.Item>
          ))}
        </List.Root>
      </Section>
      <Section title="The same from a terminal">
        <Stack gap="4">
          <Text color="fg.muted" textStyle="sm">
            Both take the token from the variable PALISADE_ADMIN_TOKEN. The curl request has this draft&apos;s
            key: sent twice, here and there, it makes one tenant.
          </Text>
          <CodeBox label="palisade" text={asPalisade(body)} />
          <CodeBox label="curl" text={asCurl(window.location.origin, body, key)} />
        </Stack>
      </Section>
    </>
  );
}
