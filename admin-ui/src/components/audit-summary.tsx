import { Box, Button, Flex, SimpleGrid, Text } from "@chakra-ui/react";
import { Download } from "lucide-react";
import type { AuditEvent } from "../api/schemas";
import { asJsonLines, facet, histogram } from "../lib/audit";
import { saveFile } from "../lib/download";
import type { AuditFilterValues } from "./audit-filters";
import { Bars } from "./bars";
import { Section } from "./section";

/** Bars of the histogram. */
const BARS = 30;
/** Values that are shown of each facet. */
const VALUES = 5;
const FACETS = ["action", "decision", "actor", "tenant"] as const;

interface AuditSummaryProps {
  /** The events of this page. */
  events: AuditEvent[];
  onPick: (changes: Partial<AuditFilterValues>) => void;
}

/** The page's events over time and by their values, each a way to narrow the list. */
export function AuditSummary({ events, onPick }: AuditSummaryProps) {
  return (
    <Box mb="5">
      <Section
        title="On this page"
        actions={
          <Button
            size="xs"
            variant="outline"
            onClick={() => saveFile("audit.jsonl", "application/jsonl", asJsonLines(events))}
          >
            <Download aria-hidden /> Export {events.length}
          </Button>
        }
      >
        <Bars bars={histogram(events, BARS)} onPick={({ from, to }) => onPick({ since: from, until: to })} />
        <SimpleGrid columns={{ base: 1, sm: 2, lg: 4 }} gap="4" mt="4">
          {FACETS.map((field) => (
            <Facet key={field} field={field} events={events} onPick={onPick} />
          ))}
        </SimpleGrid>
      </Section>
    </Box>
  );
}

interface FacetProps extends AuditSummaryProps {
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
