import { Box, Button, Flex, Text } from "@chakra-ui/react";
import { Radio } from "lucide-react";
import { useEffect, useState } from "react";
import type { Operation } from "../api/schemas";
import { useTimeline } from "../api/use-timeline";
import type { Connection } from "../api/watch";
import { localTime } from "../lib/time";
import { isOver, type LogLine } from "../lib/timeline";
import { OperationSteps } from "./operation-steps";

interface LiveOperationProps {
  operation: Operation;
  /** Told once the operation has ended, whatever becomes of what it was about. */
  onEnd?: (operation: Operation) => void;
}

/** An operation as it happens, with its log. */
export function LiveOperation({ operation, onEnd }: LiveOperationProps) {
  const { operation: shown, log, connection } = useTimeline(operation);
  const over = isOver(shown);
  useEffect(() => {
    if (over) onEnd?.(shown);
    // It ends once.
  }, [over]);
  return (
    <Box>
      {shown.state === "running" && <ConnectionLine connection={connection} />}
      <OperationSteps operation={shown} />
      {log.length > 0 && <Log lines={log} />}
    </Box>
  );
}

const LINES: Record<Connection, string> = {
  opening: "Connecting …",
  live: "Live: steps show as they happen.",
  lost: "The connection is lost. Trying again; nothing is missed.",
};

function ConnectionLine({ connection }: { connection: Connection }) {
  return (
    <Flex align="center" gap="2" mb="3" textStyle="sm" color="fg.muted" role="status">
      <Radio size="1em" aria-hidden /> {LINES[connection]}
    </Flex>
  );
}

function Log({ lines }: { lines: LogLine[] }) {
  const [open, setOpen] = useState(false);
  return (
    <Box mt="4">
      <Button size="xs" variant="outline" aria-expanded={open} onClick={() => setOpen(!open)}>
        {open ? "Hide the log" : `Show the log (${lines.length} lines)`}
      </Button>
      {open && (
        <Box
          as="pre"
          role="log"
          aria-label="Log"
          tabIndex={0}
          mt="2"
          p="3"
          rounded="md"
          bg="bg.muted"
          textStyle="xs"
          fontFamily="mono"
          whiteSpace="pre-wrap"
          overflowWrap="anywhere"
          maxH="16rem"
          overflowY="auto"
        >
          {lines.map(({ at, text }, index) => (
            <Text as="span" display="block" key={index}>
              {localTime(at)} {text}
            </Text>
          ))}
        </Box>
      )}
    </Box>
  );
}
