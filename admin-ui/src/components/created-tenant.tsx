import { Alert, Button, Flex, Stack, Text } from "@chakra-ui/react";
import { useEffect, useRef, useState } from "react";
import { Link as RouterLink } from "react-router";
import { useTenantStatus } from "../api/queries";
import type { CreatedTenant, Operation, Tenant } from "../api/schemas";
import { useLeaveGuard } from "../lib/leave-guard";
import { Credentials } from "./credentials";
import { LiveOperation } from "./live-operation";
import { PageHead } from "./page-head";
import { Section } from "./section";
import { StateBadge } from "./state-badge";

interface CreatedTenantProps {
  created: CreatedTenant;
  /** Back to the draft, for another try after a failure. */
  onRetry: () => void;
}

/** What a creation makes: its steps as they happen, and its connection strings this one time. */
export function CreatedTenantView({ created, onRetry }: CreatedTenantProps) {
  const { tenant } = created;
  if (!tenant) return <NothingToShow />;
  return <Created tenant={tenant} created={created} onRetry={onRetry} />;
}

function Created({ tenant, created, onRetry }: CreatedTenantProps & { tenant: Tenant }) {
  const { credentials } = created;
  const status = useTenantStatus(tenant.id);
  const [ended, setEnded] = useState<Operation | null>(null);
  const operation = ended ?? status.data?.operation ?? created.operation;
  // A tenant that could not be made is gone: its operation alone tells of it.
  const failed = operation?.state === "failed" || operation?.state === "cancelled";
  const state = failed ? "failed" : (status.data?.observed_state ?? tenant.observed_state);
  const [stored, setStored] = useState(credentials.length === 0);
  const head = useRef<HTMLDivElement>(null);
  useEffect(() => head.current?.querySelector("h1")?.focus(), []);
  useLeaveGuard(!stored && !failed, "The connection strings cannot be shown again. Leave this page?");
  return (
    <div ref={head}>
      <PageHead
        title={`${tenant.slug} ${titleOf(state, failed)}`}
        description={
          <Flex mt="1" role="status">
            <StateBadge state={state} />
          </Flex>
        }
      />
      <Stack gap="5" maxW="3xl">
        {failed ? (
          <Failed onRetry={onRetry} />
        ) : (
          <Section title="Connection strings">
            {credentials.length > 0 && !stored && <Credentials credentials={credentials} />}
            {credentials.length === 0 && <ToldBefore />}
            {stored ? (
              <Button asChild size="sm" mt={credentials.length === 0 ? "4" : "0"}>
                <RouterLink to={`/tenants/${tenant.id}`}>To the tenant</RouterLink>
              </Button>
            ) : (
              <Button size="sm" mt="4" onClick={() => setStored(true)}>
                I have stored them
              </Button>
            )}
          </Section>
        )}
        {operation && <Steps operation={operation} mayLeave={stored} onEnd={setEnded} />}
      </Stack>
    </div>
  );
}

function titleOf(state: string, failed: boolean): string {
  if (failed) return "could not be made";
  return state === "active" ? "is ready" : "is being made";
}

interface StepsProps {
  operation: Operation;
  mayLeave: boolean;
  onEnd: (operation: Operation) => void;
}

function Steps({ operation, mayLeave, onEnd }: StepsProps) {
  return (
    <Section title={operation.state === "running" ? "What is done" : "What was done"}>
      {operation.state === "running" && (
        <Text color="fg.muted" mb="3">
          {mayLeave
            ? "You can leave this page: it goes on, and the tenant's page shows it."
            : "It goes on by itself. Store the connection strings, then you can leave this page."}
        </Text>
      )}
      <LiveOperation operation={operation} onEnd={onEnd} />
    </Section>
  );
}

function Failed({ onRetry }: { onRetry: () => void }) {
  return (
    <Alert.Root status="error" role="alert">
      <Alert.Indicator />
      <Alert.Content>
        <Alert.Title>It failed, and what it made was taken back</Alert.Title>
        <Alert.Description>
          The connection strings are void. The failed step below says why; your draft is kept.
        </Alert.Description>
      </Alert.Content>
      <Button size="sm" variant="outline" onClick={onRetry}>
        Try again
      </Button>
    </Alert.Root>
  );
}

function NothingToShow() {
  return (
    <>
      <PageHead title="The request was taken" />
      <Button asChild size="sm">
        <RouterLink to="/tenants">To the tenants</RouterLink>
      </Button>
    </>
  );
}

function ToldBefore() {
  return (
    <Alert.Root status="info">
      <Alert.Indicator />
      <Alert.Content>
        <Alert.Title>An earlier, equal request made this tenant</Alert.Title>
        <Alert.Description>
          Its secrets were told then and cannot be read again. The tenant&apos;s page can make new ones.
        </Alert.Description>
      </Alert.Content>
    </Alert.Root>
  );
}
