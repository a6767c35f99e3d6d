import { Alert, Button, Flex, Stack } from "@chakra-ui/react";
import { useEffect, useRef, useState } from "react";
import { Link as RouterLink } from "react-router";
import { useTenantStatus } from "../api/queries";
import type { CreatedTenant } from "../api/schemas";
import { useLeaveGuard } from "../lib/leave-guard";
import { Credentials } from "./credentials";
import { OperationSteps } from "./operation-steps";
import { PageHead } from "./page-head";
import { Section } from "./section";
import { StateBadge } from "./state-badge";

/** What a creation made: its steps, and its connection strings this one time. */
export function CreatedTenantView({ created }: { created: CreatedTenant }) {
  const { tenant, credentials } = created;
  const status = useTenantStatus(tenant.id);
  const operation = status.data?.operation ?? created.operation;
  const state = status.data?.observed_state ?? tenant.observed_state;
  const [stored, setStored] = useState(credentials.length === 0);
  const head = useRef<HTMLDivElement>(null);
  useEffect(() => head.current?.querySelector("h1")?.focus(), []);
  useLeaveGuard(!stored, "The connection strings cannot be shown again. Leave this page?");
  return (
    <div ref={head}>
      <PageHead
        title={`${tenant.slug} ${state === "active" ? "is ready" : "is being made"}`}
        description={
          <Flex mt="1">
            <StateBadge state={state} />
          </Flex>
        }
      />
      <Stack gap="5" maxW="3xl">
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
        {operation && (
          <Section title="What was done">
            <OperationSteps operation={operation} />
          </Section>
        )}
      </Stack>
    </div>
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
