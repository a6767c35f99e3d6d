import { Alert, Box, Link, List, Stack, Text } from "@chakra-ui/react";
import { Link as RouterLink } from "react-router";
import type { ExplainedAccess, ExplainedStatement, Explanation } from "../api/schemas";
import { words } from "../lib/states";
import { CodeBox } from "./code-box";
import { DataTable, type Columns } from "./data-table";
import { Facts } from "./facts";
import { Section } from "./section";
import { DecisionBadge } from "./state-badge";

const COLUMNS: Columns<ExplainedAccess> = [
  {
    id: "verdict",
    header: "Verdict",
    cell: ({ row }) => (
      <DecisionBadge
        allowed={row.original.rule != null}
        text={row.original.rule == null ? "deny" : "permit"}
      />
    ),
  },
  { id: "action", header: "Action", cell: ({ row }) => row.original.action },
  { id: "class", header: "Class", cell: ({ row }) => row.original.class },
  {
    id: "name",
    header: "As written",
    cell: ({ row: { original } }) => (
      <Code text={original.schema ? `${original.schema}.${original.name}` : original.name} />
    ),
  },
  { id: "resolved", header: "Stands in", cell: ({ row }) => <Code text={row.original.resolved} /> },
  { id: "rule", header: "Decided by", cell: ({ row }) => <DecidedBy access={row.original} /> },
  { id: "reader", header: "Read by", cell: ({ row }) => row.original.reader },
];

function Code({ text }: { text: string }) {
  return (
    <Text as="span" fontFamily="mono" textStyle="sm" overflowWrap="break-word">
      {text}
    </Text>
  );
}

function DecidedBy({ access }: { access: ExplainedAccess }) {
  if (access.rule != null) {
    return (
      <Box minW="14rem">
        <Code text={access.rule} />
      </Box>
    );
  }
  return <>{access.reason ? words(access.reason) : "no rule permits it"}</>;
}

/** A verdict with everything that led to it. */
export function ExplanationView({ explanation, sql }: { explanation: Explanation; sql: string }) {
  const { rewritten, statements } = explanation;
  return (
    <Stack gap="5">
      <Verdict explanation={explanation} />
      {explanation.verdict === "permit" && (
        <CodeBox
          label={rewritten == null ? "Sent as it was written" : "Sent instead"}
          text={rewritten ?? sql}
          wrap
        />
      )}
      {statements.map((statement, index) => (
        <StatementView key={index} statement={statement} number={index + 1} />
      ))}
    </Stack>
  );
}

function Verdict({ explanation: { verdict, denial, witnessed } }: { explanation: Explanation }) {
  const permitted = verdict === "permit";
  return (
    <Stack gap="4">
      <Alert.Root status={permitted ? "success" : "error"} role="status">
        <Alert.Indicator />
        <Alert.Content>
          <Alert.Title>{permitted ? "Permitted" : "Denied"}</Alert.Title>
          <Alert.Description overflowWrap="anywhere">
            {denial ? `ERROR: ${denial.message}` : "Every access is permitted by a rule."}
          </Alert.Description>
        </Alert.Content>
      </Alert.Root>
      <Facts
        facts={[
          ["SQLSTATE", denial?.sqlstate],
          ["Reason", denial && words(denial.reason)],
          ["Deciding rule", denial && (denial.rule ?? "none; what no rule permits is denied")],
          ["Hint", denial?.hint],
          ["Smallest change", denial && <Change key="change" lines={denial.change} />],
          ["Second reader", witnessed !== undefined && (witnessed ? "read it too" : "could not read it")],
        ]}
      />
    </Stack>
  );
}

/** The lines of the policy that would permit it. */
function Change({ lines }: { lines: string[] }) {
  if (lines.length === 0) return <>No policy can permit this.</>;
  return (
    <Stack gap="1">
      {lines.map((line) => (
        <Code key={line} text={line} />
      ))}
      <Link asChild variant="underline" color="colorPalette.fg">
        <RouterLink to="/policy">Edit the policy</RouterLink>
      </Link>
    </Stack>
  );
}

function StatementView({ statement, number }: { statement: ExplainedStatement; number: number }) {
  const { verb, kind, accesses, effects } = statement;
  return (
    <Section title={`Statement ${number}: ${verb} (${kind})`}>
      <Stack gap="4">
        {accesses.length > 0 ? (
          <DataTable
            label={`Accesses of statement ${number}`}
            columns={COLUMNS}
            rows={accesses}
            rowId={(_, index) => String(index)}
          />
        ) : (
          <Text color="fg.muted">It names nothing.</Text>
        )}
        {effects.length > 0 && (
          <Box>
            <Text fontWeight="medium" mb="1">
              Effects on the session
            </Text>
            <List.Root ps="5">
              {effects.map((effect, index) => (
                <List.Item key={index}>
                  <Code text={effect} />
                </List.Item>
              ))}
            </List.Root>
          </Box>
        )}
      </Stack>
    </Section>
  );
}
