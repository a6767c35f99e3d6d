import { Button, Flex, Input, NativeSelect, Text } from "@chakra-ui/react";
import { Plus } from "lucide-react";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useNavigate } from "react-router";
import { useUsage } from "../api/live";
import { useAllTenants, useFleetDrift } from "../api/queries";
import { OBSERVED_STATES, type Tenant } from "../api/schemas";
import { ActionButton } from "../components/action-button";
import { BulkBar } from "../components/bulk-bar";
import { Empty } from "../components/empty";
import { FormField } from "../components/form-field";
import { Loading } from "../components/loading";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { SavedViews } from "../components/saved-views";
import { TenantsTable, type TenantRow } from "../components/tenants-table";
import { useFilters } from "../lib/filters";

/** How long the search waits for the next letter, in milliseconds. */
const TYPING_MS = 300;
const FILTERS = ["q", "state"] as const;

/** All tenants, filtered; more come as the list is scrolled. */
export function TenantsPage() {
  const { values, setFilters, active } = useFilters(FILTERS);
  return (
    <>
      <PageHead title="Tenants" actions={<NewTenantButton />} />
      <Flex gap="4" mb="4" wrap="wrap" role="search" aria-label="Tenants">
        <Search value={values.q} onChange={(q) => setFilters({ q }, true)} />
        <StateFilter value={values.state} onChange={(state) => setFilters({ state })} />
      </Flex>
      <SavedViews list="tenants" />
      <List
        key={JSON.stringify(values)}
        filter={values}
        filtered={active}
        onClear={() => setFilters({ q: "", state: "" })}
      />
    </>
  );
}

interface ListProps {
  filter: { q: string; state: string };
  filtered: boolean;
  onClear: () => void;
}

function List({ filter, filtered, onClear }: ListProps) {
  const tenants = useAllTenants(filter);
  const { fetchNextPage } = tenants;
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const loaded = useMemo(() => tenants.data?.pages.flatMap((page) => page.items) ?? [], [tenants.data]);
  const rows = useRows(loaded);
  const more = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  const select = (ids: string[], on: boolean) =>
    setSelected((before) => {
      const after = new Set(before);
      ids.forEach((id) => (on ? after.add(id) : after.delete(id)));
      return after;
    });
  if (tenants.isPending) return <Loading what="tenants" />;
  if (tenants.isError && rows.length === 0) {
    return <ProblemAlert error={tenants.error} onRetry={() => void tenants.refetch()} />;
  }
  if (rows.length === 0) return <NoTenants filtered={filtered} onClear={onClear} />;
  const mayAsk = tenants.hasNextPage && !tenants.isFetching && !tenants.isError;
  return (
    <>
      <BulkBar tenants={rows.filter(({ id }) => selected.has(id))} onClear={() => setSelected(new Set())} />
      <TenantsTable
        tenants={rows}
        selected={selected}
        onSelect={select}
        stale={tenants.isPlaceholderData}
        onEnd={mayAsk ? more : undefined}
      />
      <Text mt="3" textStyle="sm" color="fg.muted" role="status">
        {rows.length.toLocaleString()} tenants {tenants.hasNextPage ? "so far; scroll for more" : "in all"}
      </Text>
      {tenants.isError && <ProblemAlert error={tenants.error} onRetry={more} />}
    </>
  );
}

/** The tenants with their drift and their use. */
function useRows(tenants: Tenant[]): TenantRow[] {
  const ids = useMemo(() => tenants.map(({ id }) => id), [tenants]);
  const usage = useUsage(ids);
  const drift = useFleetDrift().data;
  return useMemo(() => {
    const drifted = new Set(drift?.items.map(({ tenant_id }) => tenant_id));
    // Only of a fleet that was looked at as a whole is it known who does not differ.
    const whole = drift !== undefined && !drift.next_cursor;
    const compared = ({ observed_state }: Tenant) => ["active", "suspended"].includes(observed_state);
    return tenants.map((tenant) => ({
      ...tenant,
      usage: usage.get(tenant.id),
      drifted: drifted.has(tenant.id) || (whole && compared(tenant) ? false : undefined),
    }));
  }, [tenants, usage, drift]);
}

function NewTenantButton() {
  const navigate = useNavigate();
  return (
    <ActionButton action="tenant.create" size="sm" onClick={() => void navigate("/tenants/new")}>
      <Plus aria-hidden /> New tenant
    </ActionButton>
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
