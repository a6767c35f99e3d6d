import { Button, Flex, Input, Link, NativeSelect, Text } from "@chakra-ui/react";
import { Plus } from "lucide-react";
import { useEffect, useState } from "react";
import { Link as RouterLink } from "react-router";
import { useTenants } from "../api/queries";
import { OBSERVED_STATES, type Tenant } from "../api/schemas";
import { DataTable, type Columns } from "../components/data-table";
import { Empty } from "../components/empty";
import { FormField } from "../components/form-field";
import { Loading } from "../components/loading";
import { PageHead } from "../components/page-head";
import { Pager } from "../components/pager";
import { ProblemAlert } from "../components/problem-alert";
import { StateBadge } from "../components/state-badge";
import { Time } from "../components/time";
import { useFilters } from "../lib/filters";

/** Tenants on one page of the list. */
const PAGE = 25;
/** How long the search waits for the next letter, in milliseconds. */
const TYPING_MS = 300;
const FILTERS = ["q", "state"] as const;

const COLUMNS: Columns<Tenant> = [
  { id: "tenant", header: "Tenant", cell: ({ row }) => <TenantName tenant={row.original} /> },
  {
    id: "state",
    header: "State",
    cell: ({ row }) => <StateBadge state={row.original.observed_state} />,
  },
  { id: "plan", header: "Plan", cell: ({ row }) => row.original.plan },
  {
    id: "template",
    header: "Template",
    cell: ({ row }) => `${row.original.template} v${row.original.template_version}`,
  },
  { id: "cluster", header: "Cluster", cell: ({ row }) => row.original.cluster },
  { id: "created", header: "Created", cell: ({ row }) => <Time iso={row.original.created_at} /> },
];

function TenantName({ tenant }: { tenant: Tenant }) {
  return (
    <>
      <Link asChild fontWeight="semibold" variant="underline" color="colorPalette.fg">
        <RouterLink to={`/tenants/${tenant.id}`}>{tenant.slug}</RouterLink>
      </Link>
      <Text textStyle="sm" color="fg.muted" lineClamp={1} wordBreak="break-word">
        {tenant.display_name}
      </Text>
    </>
  );
}

/** All tenants, filtered, a page at a time. */
export function TenantsPage() {
  const { values, setFilters, cursor, setCursor, active } = useFilters(FILTERS);
  const tenants = useTenants({ ...values, cursor, limit: PAGE });
  return (
    <>
      <PageHead title="Tenants" actions={<NewTenantButton />} />
      <Flex gap="4" mb="5" wrap="wrap" role="search" aria-label="Tenants">
        <Search value={values.q} onChange={(q) => setFilters({ q }, true)} />
        <StateFilter value={values.state} onChange={(state) => setFilters({ state })} />
      </Flex>
      {tenants.isPending && <Loading what="tenants" />}
      {tenants.isError && <ProblemAlert error={tenants.error} onRetry={() => void tenants.refetch()} />}
      {tenants.data && !tenants.isError && (
        <>
          {tenants.data.items.length > 0 ? (
            <DataTable
              label="Tenants"
              columns={COLUMNS}
              rows={tenants.data.items}
              rowId={(tenant) => tenant.id}
              hideBelow={{ plan: "md", template: "lg", cluster: "lg", created: "md" }}
              stale={tenants.isPlaceholderData}
            />
          ) : (
            <NoTenants filtered={active || !!cursor} onClear={() => setFilters({ q: "", state: "" })} />
          )}
          <Pager label="tenants" cursor={cursor} next={tenants.data.next_cursor} onChange={setCursor} />
        </>
      )}
    </>
  );
}

function NewTenantButton() {
  return (
    <Button asChild size="sm">
      <RouterLink to="/tenants/new">
        <Plus aria-hidden /> New tenant
      </RouterLink>
    </Button>
  );
}

function Search({ value, onChange }: { value: string; onChange: (q: string) => void }) {
  const [text, setText] = useState(value);
  const [shown, setShown] = useState(value);
  if (shown !== value) {
    // The address changed by other means, such as the back button.
    setShown(value);
    if (text.trim() !== value) setText(value);
  }
  useEffect(() => {
    if (text.trim() === value) return;
    const timer = setTimeout(() => onChange(text.trim()), TYPING_MS);
    return () => clearTimeout(timer);
    // Only what is typed starts the wait.
  }, [text]);
  return (
    <Flex flex="1" minW="12rem" maxW="md">
      <FormField label="Slug or name contains">
        <Input type="search" bg="bg.panel" value={text} onChange={(event) => setText(event.target.value)} />
      </FormField>
    </Flex>
  );
}

function StateFilter({ value, onChange }: { value: string; onChange: (state: string) => void }) {
  return (
    <Flex w="11rem">
      <FormField label="State">
        <NativeSelect.Root>
          <NativeSelect.Field bg="bg.panel" value={value} onChange={(event) => onChange(event.target.value)}>
            <option value="">all but deleted</option>
            {OBSERVED_STATES.map((state) => (
              <option key={state}>{state}</option>
            ))}
          </NativeSelect.Field>
          <NativeSelect.Indicator />
        </NativeSelect.Root>
      </FormField>
    </Flex>
  );
}

function NoTenants({ filtered, onClear }: { filtered: boolean; onClear: () => void }) {
  if (filtered) {
    return (
      <Empty title="No tenant fits" description="Nothing matches the search and the state.">
        <Button variant="outline" size="sm" onClick={onClear}>
          Clear the filters
        </Button>
      </Empty>
    );
  }
  return (
    <Empty
      title="No tenants yet"
      description="A tenant gets a schema, roles and connection strings of its own."
    >
      <NewTenantButton />
    </Empty>
  );
}
