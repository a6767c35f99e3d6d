import { Badge, Box, Checkbox, Flex, Link, Text } from "@chakra-ui/react";
import { tableFeatures, useTable, type ColumnDef } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import { Link as RouterLink } from "react-router";
import type { Usage } from "../api/live";
import type { Tenant } from "../api/schemas";
import { bytes } from "../lib/bytes";
import { StateBadge } from "./state-badge";
import { Time } from "./time";

/** Height of a row, in pixels: all are equal, so that the place of each is known. */
const ROW_PX = 61;
/** Rows that are drawn beyond what is seen. */
const OVERSCAN = 8;
/** Rows before the end at which the next page is asked for. */
const AHEAD = 20;

const features = tableFeatures({});

/** A tenant with what is asked for beside the list; each may come later, or not at all. */
export interface TenantRow extends Tenant {
  usage?: Usage;
  /** Whether it differs from its template; not known where it was not compared. */
  drifted?: boolean;
}

const COLUMNS: ColumnDef<typeof features, TenantRow, any>[] = [
  { id: "tenant", header: "Tenant", cell: ({ row }) => <TenantName tenant={row.original} /> },
  { id: "state", header: "State", cell: ({ row }) => <StateBadge state={row.original.observed_state} /> },
  { id: "plan", header: "Plan", cell: ({ row }) => row.original.plan },
  {
    id: "template",
    header: "Version",
    cell: ({ row }) => `${row.original.template} v${row.original.template_version}`,
  },
  { id: "drift", header: "Drift", cell: ({ row }) => <Drift drifted={row.original.drifted} /> },
  { id: "size", header: "Size", cell: ({ row }) => bytes(row.original.usage?.bytes) },
  { id: "active", header: "Last activity", cell: ({ row }) => <Time iso={row.original.usage?.active_at} /> },
];

/** Columns that leave when the screen gets narrow, and how wide each is. */
const LOOK: Record<string, { flex: string; display?: Record<string, string> }> = {
  tenant: { flex: "3 1 0" },
  state: { flex: "0 0 8.5rem" },
  plan: { flex: "1 1 0", display: { base: "none", md: "block" } },
  template: { flex: "1.3 1 0", display: { base: "none", lg: "block" } },
  drift: { flex: "0 0 6rem", display: { base: "none", lg: "block" } },
  size: { flex: "0 0 6.5rem", display: { base: "none", md: "block" } },
  active: { flex: "0 0 9.5rem", display: { base: "none", md: "block" } },
};

function Drift({ drifted }: { drifted?: boolean }) {
  if (drifted === undefined) return <>–</>;
  return (
    <Badge colorPalette={drifted ? "orange" : "gray"} variant="subtle">
      {drifted ? "differs" : "none"}
    </Badge>
  );
}

function TenantName({ tenant }: { tenant: Tenant }) {
  return (
    <>
      <Link asChild fontWeight="semibold" variant="underline" color="colorPalette.fg" maxW="full">
        <RouterLink to={`/tenants/${tenant.id}`}>
          <Text as="span" truncate>
            {tenant.slug}
          </Text>
        </RouterLink>
      </Link>
      <Text textStyle="sm" color="fg.muted" truncate title={tenant.display_name}>
        {tenant.display_name}
      </Text>
    </>
  );
}

interface TenantsTableProps {
  tenants: TenantRow[];
  /** Tenants that are marked, by id. */
  selected: ReadonlySet<string>;
  onSelect: (ids: string[], on: boolean) => void;
  /** Older rows that are shown while newer ones are asked for. */
  stale: boolean;
  /** Asks for more; absent when there are none or they are on their way. */
  onEnd?: () => void;
}

/** The tenants that are loaded; only the rows in sight are drawn. */
export function TenantsTable({ tenants, selected, onSelect, stale, onEnd }: TenantsTableProps) {
  const table = useTable({ features, columns: COLUMNS, data: tenants, getRowId: (tenant) => tenant.id });
  const { rows } = table.getRowModel();
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: OVERSCAN,
  });
  const drawn = virtual.getVirtualItems();
  const last = drawn.at(-1)?.index ?? 0;
  useEffect(() => {
    if (onEnd && last >= rows.length - AHEAD) onEnd();
  }, [last, rows.length, onEnd]);
  const all = tenants.length > 0 && tenants.every(({ id }) => selected.has(id));
  return (
    <Box
      ref={scroller}
      role="region"
      aria-label="Tenants (table)"
      tabIndex={0}
      maxH="70vh"
      overflowY="auto"
      borderWidth="1px"
      rounded="lg"
      bg="bg.panel"
      opacity={stale ? 0.6 : 1}
    >
      <Box role="table" aria-label="Tenants" aria-rowcount={rows.length + 1} aria-busy={stale}>
        <Box role="rowgroup" position="sticky" top="0" zIndex="1">
          <Flex role="row" aria-rowindex={1} bg="bg.muted" borderBottomWidth="1px" align="center" minH="10">
            <Mark
              label="Mark all that are loaded"
              checked={all}
              onChange={(on) =>
                onSelect(
                  tenants.map(({ id }) => id),
                  on,
                )
              }
              header
            />
            {table.getHeaderGroups()[0]?.headers.map((header) => (
              <Box
                key={header.id}
                role="columnheader"
                px="3"
                fontWeight="medium"
                textStyle="sm"
                {...LOOK[header.column.id]}
              >
                <table.FlexRender header={header} />
              </Box>
            ))}
          </Flex>
        </Box>
        <Box role="rowgroup" position="relative" style={{ height: virtual.getTotalSize() }}>
          {drawn.map(({ index, start }) => {
            const row = rows[index];
            if (!row) return null;
            return (
              <Flex
                key={row.id}
                role="row"
                aria-rowindex={index + 2}
                position="absolute"
                insetX="0"
                align="center"
                borderBottomWidth="1px"
                bg={selected.has(row.id) ? "colorPalette.subtle" : undefined}
                style={{ height: ROW_PX, transform: `translateY(${start}px)` }}
              >
                <Mark
                  label={`Mark ${row.original.slug}`}
                  checked={selected.has(row.id)}
                  onChange={(on) => onSelect([row.id], on)}
                />
                {row.getAllCells().map((cell) => (
                  <Box key={cell.id} role="cell" px="3" minW="0" truncate {...LOOK[cell.column.id]}>
                    <table.FlexRender cell={cell} />
                  </Box>
                ))}
              </Flex>
            );
          })}
        </Box>
      </Box>
    </Box>
  );
}

interface MarkProps {
  label: string;
  checked: boolean;
  onChange: (on: boolean) => void;
  header?: boolean;
}

function Mark({ label, checked, onChange, header = false }: MarkProps) {
  return (
    <Flex
      role={header ? "columnheader" : "cell"}
      w="11"
      h="10"
      align="center"
      justify="center"
      flexShrink="0"
    >
      <Checkbox.Root
        checked={checked}
        onCheckedChange={(details) => onChange(details.checked === true)}
        p="1"
      >
        <Checkbox.HiddenInput aria-label={label} />
        <Checkbox.Control />
      </Checkbox.Root>
    </Flex>
  );
}
