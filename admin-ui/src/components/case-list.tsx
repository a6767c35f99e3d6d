import { Button, Flex, IconButton, Stack, Text } from "@chakra-ui/react";
import { Play, Trash2 } from "lucide-react";
import { useState } from "react";
import { problemOf } from "../api/client";
import { explain } from "../api/endpoints";
import type { Case } from "../lib/cases";
import { DataTable, type Columns } from "./data-table";
import { Section } from "./section";
import { DecisionBadge } from "./state-badge";

/** What running a case gave: a verdict, or why there is none. */
interface Outcome {
  verdict?: string;
  problem?: string;
}

interface Row extends Case {
  outcome?: Outcome;
  onOpen: () => void;
  onRemove: () => void;
}

const COLUMNS: Columns<Row> = [
  { id: "result", header: "Result", cell: ({ row }) => <Result row={row.original} /> },
  { id: "expected", header: "Expected", cell: ({ row }) => row.original.expected },
  { id: "who", header: "Tenant, as", cell: ({ row }) => `${row.original.tenant}, ${row.original.as}` },
  {
    id: "sql",
    header: "Statement",
    cell: ({ row: { original } }) => (
      <Button variant="plain" size="sm" px="0" maxW="20rem" onClick={original.onOpen} title={original.sql}>
        <Text as="span" truncate fontFamily="mono">
          {original.sql}
        </Text>
      </Button>
    ),
  },
  {
    id: "remove",
    header: "Remove",
    cell: ({ row: { original } }) => (
      <IconButton
        size="xs"
        variant="ghost"
        aria-label={`Remove the case ${original.sql}`}
        onClick={original.onRemove}
      >
        <Trash2 aria-hidden />
      </IconButton>
    ),
  },
];

function Result({ row: { outcome, expected } }: { row: Row }) {
  if (!outcome) return <Text color="fg.muted">not run</Text>;
  if (outcome.problem) return <Text>{outcome.problem}</Text>;
  const passed = outcome.verdict === expected;
  return <DecisionBadge allowed={passed} text={passed ? "pass" : `fail: ${outcome.verdict}`} />;
}

async function outcomeOf({ tenant, as, sql }: Case): Promise<Outcome> {
  try {
    return { verdict: (await explain({ tenant, as, sql })).verdict };
  } catch (error) {
    return { problem: problemOf(error).title };
  }
}

interface CaseListProps {
  cases: Case[];
  onOpen: (which: Case) => void;
  onRemove: (which: Case) => void;
}

/** The kept statements: run them all, and see which are judged as they were. */
export function CaseList({ cases, onOpen, onRemove }: CaseListProps) {
  const [outcomes, setOutcomes] = useState(new Map<Case, Outcome>());
  const [running, setRunning] = useState(false);
  const runAll = async () => {
    setRunning(true);
    setOutcomes(new Map());
    // One after the other: a caller's rate is limited.
    for (const one of cases) {
      const outcome = await outcomeOf(one);
      setOutcomes((before) => new Map(before).set(one, outcome));
    }
    setRunning(false);
  };
  const rows = cases.map((one) => ({
    ...one,
    outcome: outcomes.get(one),
    onOpen: () => onOpen(one),
    onRemove: () => onRemove(one),
  }));
  const ran = cases.filter((one) => outcomes.has(one));
  const passed = ran.filter((one) => outcomes.get(one)?.verdict === one.expected);
  return (
    <Section
      title="Kept cases"
      actions={
        <Button size="sm" loading={running} disabled={cases.length === 0} onClick={() => void runAll()}>
          <Play aria-hidden /> Run all
        </Button>
      }
    >
      <Stack gap="3">
        <Flex role="status">
          {cases.length === 0
            ? "None yet. Explain a statement and keep it: it stays in this browser."
            : ran.length > 0 && `${passed.length} of ${ran.length} pass.`}
        </Flex>
        {cases.length > 0 && (
          <DataTable label="Kept cases" columns={COLUMNS} rows={rows} rowId={(_, i) => String(i)} dense />
        )}
      </Stack>
    </Section>
  );
}
