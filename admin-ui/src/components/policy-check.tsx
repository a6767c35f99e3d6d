import { Alert, Button, List, Stack, Text } from "@chakra-ui/react";
import type { PolicyCheck, PolicyDifference, PolicyFault } from "../api/policy";
import { DataTable, type Columns } from "./data-table";
import { DecisionBadge } from "./state-badge";

const COLUMNS: Columns<PolicyDifference> = [
  {
    id: "becomes",
    header: "Becomes",
    cell: ({ row: { original } }) => (
      <DecisionBadge allowed={original.allowed} text={original.allowed ? "permitted" : "denied"} />
    ),
  },
  { id: "kind", header: "Login kind", cell: ({ row }) => row.original.kind },
  { id: "action", header: "Action", cell: ({ row }) => row.original.action },
  { id: "class", header: "Class", cell: ({ row }) => row.original.class },
  { id: "where", header: "Where", cell: ({ row }) => row.original.where },
  { id: "name", header: "Name", cell: ({ row }) => row.original.name },
];

interface CheckViewProps {
  check: PolicyCheck;
  /** Leads to a line of the policy. */
  onLine?: (line: number) => void;
}

/** What is wrong with a policy, or what it would change. */
export function CheckView({ check, onLine }: CheckViewProps) {
  if (!check.usable) return <Faults faults={check.faults} onLine={onLine} />;
  if (check.changes === 0) {
    return <Text role="status">It can be used, and decides as the policy in force does.</Text>;
  }
  const more = check.changes - check.differences.length;
  return (
    <Stack gap="3">
      <Text role="status">
        It can be used, and decides {check.changes} {check.changes === 1 ? "question" : "questions"} otherwise
        than epoch {check.epoch}.
      </Text>
      <DataTable
        label="What it changes"
        columns={COLUMNS}
        rows={check.differences}
        rowId={(_, index) => String(index)}
        dense
      />
      {more > 0 && <Text color="fg.muted">{more} more are not shown.</Text>}
    </Stack>
  );
}

function Faults({ faults, onLine }: { faults: PolicyFault[]; onLine?: (line: number) => void }) {
  return (
    <Alert.Root status="error" role="alert">
      <Alert.Indicator />
      <Alert.Content>
        <Alert.Title>It cannot be used</Alert.Title>
        <List.Root ps="5" gap="1">
          {faults.map(({ line, message }, index) => (
            <List.Item key={index} overflowWrap="anywhere">
              {line != null && onLine && (
                <Button size="xs" variant="outline" me="2" onClick={() => onLine(line)}>
                  Line {line}
                </Button>
              )}
              {line != null && !onLine && `Line ${line}: `}
              {message}
            </List.Item>
          ))}
        </List.Root>
      </Alert.Content>
    </Alert.Root>
  );
}
