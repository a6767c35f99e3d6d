import { Box, Button, Flex, Link, Text } from "@chakra-ui/react";
import { useState } from "react";
import { Link as RouterLink } from "react-router";
import type { Target } from "../api/schemas";
import { byWave } from "../lib/fleet";
import { DataTable, type Columns } from "./data-table";
import { RunBadge } from "./state-badge";

/** A sign beside each colour, so that none tells anything alone. */
const CELLS: Record<string, { bg: string; color: string; sign: string }> = {
  pending: { bg: "bg.muted", color: "fg", sign: "·" },
  running: { bg: "blue.subtle", color: "blue.fg", sign: "▸" },
  done: { bg: "green.subtle", color: "green.fg", sign: "✓" },
  failed: { bg: "red.subtle", color: "red.fg", sign: "✕" },
  skipped: { bg: "bg.emphasized", color: "fg", sign: "–" },
};
const UNKNOWN = { bg: "bg.muted", color: "fg", sign: "?" };

const COLUMNS: Columns<Target> = [
  {
    id: "slug",
    header: "Tenant",
    cell: ({ row }) => (
      <Link asChild variant="underline">
        <RouterLink to={`/tenants/${row.original.tenant_id}`}>{row.original.slug}</RouterLink>
      </Link>
    ),
  },
  { id: "state", header: "State", cell: ({ row }) => <RunBadge state={row.original.state} /> },
  { id: "wave", header: "Wave", cell: ({ row }) => row.original.wave },
  { id: "attempts", header: "Attempts", cell: ({ row }) => row.original.attempts },
  { id: "error", header: "Error", cell: ({ row }) => row.original.error ?? "–" },
];

/** Each target as a cell, wave by wave; the same as a table on demand. */
export function HeatMap({ targets }: { targets: Target[] }) {
  const [table, setTable] = useState(false);
  return (
    <Box>
      <Flex justify="space-between" gap="3" wrap="wrap" mb="3">
        <Legend />
        <Button size="xs" variant="outline" aria-pressed={table} onClick={() => setTable(!table)}>
          As a table
        </Button>
      </Flex>
      {table ? (
        <DataTable
          label="Targets"
          columns={COLUMNS}
          rows={targets}
          rowId={(target) => target.tenant_id}
          hideBelow={{ attempts: "md", error: "lg" }}
          dense
        />
      ) : (
        byWave(targets).map(([wave, members]) => <Wave key={wave} wave={wave} targets={members} />)
      )}
    </Box>
  );
}

function Wave({ wave, targets }: { wave: number; targets: Target[] }) {
  return (
    <Box mb="3">
      <Text textStyle="sm" mb="1">
        Wave {wave}, {targets.length.toLocaleString()} tenants
      </Text>
      <Flex wrap="wrap" gap="1">
        {targets.map(({ tenant_id, slug, state }) => {
          const { bg, color, sign } = CELLS[state] ?? UNKNOWN;
          return (
            <Link
              asChild
              key={tenant_id}
              boxSize="6"
              rounded="sm"
              bg={bg}
              color={color}
              justifyContent="center"
              textStyle="xs"
            >
              <RouterLink
                to={`/tenants/${tenant_id}`}
                title={`${slug}: ${state}`}
                aria-label={`${slug}: ${state}`}
              >
                {sign}
              </RouterLink>
            </Link>
          );
        })}
      </Flex>
    </Box>
  );
}

function Legend() {
  return (
    <Flex gap="3" wrap="wrap" textStyle="sm">
      {Object.entries(CELLS).map(([state, { bg, color, sign }]) => (
        <Flex key={state} gap="1.5" align="center">
          <Flex boxSize="5" rounded="sm" bg={bg} color={color} align="center" justify="center" aria-hidden>
            {sign}
          </Flex>
          {state}
        </Flex>
      ))}
    </Flex>
  );
}
