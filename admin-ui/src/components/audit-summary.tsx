import { Box, Button, Flex, NativeSelect, SimpleGrid, Text } from "@chakra-ui/react";
import { Download } from "lucide-react";
import { useState } from "react";
import type { AuditFilter } from "../api/endpoints";
import { AUDIT_FORMATS, useAuditExport, useHistogram, type AuditFormat } from "../api/live";
import type { AuditEvent } from "../api/schemas";
import { barsOf, facet } from "../lib/audit";
import { saveBlob } from "../lib/download";
import { Bars } from "./bars";
import { Loading } from "./loading";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";

/** Values that are shown of each facet. */
const VALUES = 5;
const FACETS = ["action", "decision", "actor", "tenant"] as const;

interface AuditSummaryProps {
  /** What the list is narrowed to. */
  filter: Omit<AuditFilter, "cursor" | "limit">;
  /** The events of this page. */
  events: AuditEvent[];
  onPick: (changes: Partial<Record<"since" | "until" | (typeof FACETS)[number], string>>) => void;
}

/** All that fits, over time and as a file; the page's events by their values. Each is a way to narrow the list. */
export function AuditSummary({ filter, events, onPick }: AuditSummaryProps) {
  return (
    <Box mb="5">
      <Section title={filter.since ? "Over time" : "The last 24 hours"} actions={<Export filter={filter} />}>
        <OverTime filter={filter} onPick={onPick} />
        <Text textStyle="sm" color="fg.muted" mt="5" mb="2">
          Of the {events.length.toLocaleString()} events on this page:
        </Text>
        <SimpleGrid columns={{ base: 1, sm: 2, lg: 4 }} gap="4">
          {FACETS.map((field) => (
            <Facet key={field} field={field} events={events} onPick={onPick} />
          ))}
        </SimpleGrid>
      </Section>
    </Box>
  );
}

function OverTime({ filter, onPick }: Omit<AuditSummaryProps, "events">) {
  const histogram = useHistogram(filter);
  if (histogram.isPending) return <Loading what="counts" />;
  if (histogram.isError) {
    return <ProblemAlert error={histogram.error} onRetry={() => void histogram.refetch()} />;
  }
  const bars = barsOf(histogram.data, filter.since ?? "", filter.until ?? "");
  if (bars.length === 0) return <Text color="fg.muted">Nothing in this time.</Text>;
  return <Bars bars={bars} onPick={({ from, to }) => onPick({ since: from, until: to })} />;
}

function Export({ filter }: { filter: AuditFilter }) {
  const { mutate, ...file } = useAuditExport();
  const [format, setFormat] = useState<AuditFormat>("jsonl");
  return (
    <Box>
      <Flex gap="2" align="center" wrap="wrap">
        <NativeSelect.Root size="xs" w="8rem">
          <NativeSelect.Field
            aria-label="Format of the export"
            value={format}
            onChange={(event) => setFormat(event.target.value as AuditFormat)}
          >
            {Object.entries(AUDIT_FORMATS).map(([name, text]) => (
              <option key={name} value={name}>
                {text}
              </option>
            ))}
          </NativeSelect.Field>
          <NativeSelect.Indicator />
        </NativeSelect.Root>
        <Button
          size="xs"
          variant="outline"
          loading={file.isPending}
          onClick={() =>
            mutate({ filter, format }, { onSuccess: (blob) => saveBlob(`audit.${format}`, blob) })
          }
        >
          <Download aria-hidden /> Export all that fit
        </Button>
      </Flex>
      {file.isError && <ProblemAlert error={file.error} />}
    </Box>
  );
}

interface FacetProps extends Pick<AuditSummaryProps, "events" | "onPick"> {
  field: (typeof FACETS)[number];
}

function Facet({ field, events, onPick }: FacetProps) {
  return (
    <Box role="group" aria-label={`By ${field}`}>
      <Text textStyle="sm" fontWeight="medium" mb="1">
        {field}
      </Text>
      {facet(events, field)
        .slice(0, VALUES)
        .map(([value, count]) => (
          <Button
            key={value}
            size="xs"
            variant="ghost"
            w="full"
            justifyContent="flex-start"
            px="1"
            onClick={() => onPick({ [field]: value })}
          >
            <Flex justify="space-between" gap="3" w="full" minW="0">
              <Text as="span" truncate>
                {value}
              </Text>{" "}
              <span>{count.toLocaleString()}</span>
            </Flex>
          </Button>
        ))}
    </Box>
  );
}
