import { Box, Button, Flex, Text } from "@chakra-ui/react";
import { useState } from "react";
import type { Bar } from "../lib/audit";
import { localTime } from "../lib/time";
import { DataTable, type Columns } from "./data-table";

/** Height of the chart, in pixels. */
const HEIGHT = 96;

const COLUMNS: Columns<Bar> = [
  { id: "from", header: "From", cell: ({ row }) => localTime(row.original.from) },
  { id: "allowed", header: "Allowed", cell: ({ row }) => row.original.allowed.toLocaleString() },
  { id: "denied", header: "Denied", cell: ({ row }) => row.original.denied.toLocaleString() },
];

interface BarsProps {
  bars: Bar[];
  /** Narrows to a bar's time. */
  onPick?: (bar: Bar) => void;
}

/** Allowed and denied events over time: a chart, or the same as a table. Denied bars are hatched, not only red. */
export function Bars({ bars, onPick }: BarsProps) {
  const [table, setTable] = useState(false);
  const most = Math.max(1, ...bars.map(({ allowed, denied }) => allowed + denied));
  const first = bars[0];
  const last = bars.at(-1);
  if (!first || !last) return null;
  return (
    <Box>
      <Flex justify="space-between" gap="3" wrap="wrap" mb="2" textStyle="sm">
        <Flex gap="4">
          <Key text="allowed" denied={false} />
          <Key text="denied (hatched)" denied />
        </Flex>
        <Button size="xs" variant="outline" aria-pressed={table} onClick={() => setTable(!table)}>
          As a table
        </Button>
      </Flex>
      {table ? (
        <DataTable label="Events over time" columns={COLUMNS} rows={bars} rowId={(bar) => bar.from} dense />
      ) : (
        <>
          <Flex
            align="flex-end"
            gap="1px"
            role="group"
            aria-label="Events over time"
            style={{ height: HEIGHT }}
          >
            {bars.map((bar) => (
              <Column key={bar.from} bar={bar} most={most} onPick={onPick} />
            ))}
          </Flex>
          <Flex justify="space-between" textStyle="xs" color="fg.muted" mt="1">
            <Text as="span">{localTime(first.from)}</Text>
            <Text as="span">{localTime(last.to)}</Text>
          </Flex>
        </>
      )}
    </Box>
  );
}

function Column({ bar, most, onPick }: { bar: Bar; most: number; onPick?: (bar: Bar) => void }) {
  const { allowed, denied, from } = bar;
  const text = `${localTime(from)}: ${allowed} allowed, ${denied} denied`;
  const part = (count: number) => ({ height: `${(count / most) * 100}%`, minHeight: count > 0 ? 2 : 0 });
  const empty = allowed + denied === 0;
  return (
    <Flex
      as={onPick && !empty ? "button" : "div"}
      role={onPick && !empty ? undefined : "img"}
      onClick={onPick && !empty ? () => onPick(bar) : undefined}
      direction="column"
      justify="flex-end"
      flex="1"
      h="full"
      title={text}
      aria-label={text}
      cursor={onPick && !empty ? "pointer" : undefined}
      focusVisibleRing="inside"
    >
      <Box className="hatched" style={part(denied)} />
      <Box bg="colorPalette.solid" style={part(allowed)} />
    </Flex>
  );
}

function Key({ text, denied }: { text: string; denied: boolean }) {
  return (
    <Flex gap="1.5" align="center">
      <Box
        boxSize="3"
        className={denied ? "hatched" : undefined}
        bg={denied ? undefined : "colorPalette.solid"}
        aria-hidden
      />
      {text}
    </Flex>
  );
}
