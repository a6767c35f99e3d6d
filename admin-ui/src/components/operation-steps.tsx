import { Box, Flex, Icon, List, Spinner, Text } from "@chakra-ui/react";
import { CircleCheck, CircleDashed, CircleMinus, CircleX, type LucideIcon } from "lucide-react";
import type { Operation, Step } from "../api/schemas";
import { span } from "../lib/time";
import { stepMillis } from "../lib/timeline";
import { RunBadge } from "./state-badge";
import { Time } from "./time";

const ICONS: Record<string, { icon: LucideIcon; color: string }> = {
  done: { icon: CircleCheck, color: "green.fg" },
  failed: { icon: CircleX, color: "red.fg" },
  skipped: { icon: CircleMinus, color: "fg.muted" },
};

const UNKNOWN = { icon: CircleDashed, color: "fg.muted" };

function StepIcon({ state }: { state: string }) {
  if (state === "running") return <Spinner size="sm" color="blue.fg" aria-hidden />;
  const { icon, color } = ICONS[state] ?? UNKNOWN;
  return <Icon as={icon} color={color} boxSize="5" aria-hidden />;
}

function took(step: Step): string | null {
  const ms = stepMillis(step);
  return ms === null ? null : span(ms);
}

/** An operation and where each of its steps stands. */
export function OperationSteps({ operation }: { operation: Operation }) {
  return (
    <Box>
      <Flex gap="2" align="center" wrap="wrap" mb="4" color="fg.muted" textStyle="sm">
        <Text as="span" fontWeight="semibold" color="fg">
          {operation.kind}
        </Text>
        <span role="status">
          <RunBadge state={operation.state} />
        </span>
        <span>
          by {operation.requested_by}, <Time iso={operation.created_at} />
        </span>
      </Flex>
      <List.Root as="ol" variant="plain" gap="3" aria-label="Steps">
        {operation.steps.map((step) => (
          <List.Item key={step.name} display="flex" gap="3" alignItems="flex-start">
            <Flex h="6" align="center">
              <StepIcon state={step.state} />
            </Flex>
            <Box flex="1" minW="0">
              <Flex justify="space-between" gap="3">
                <Text fontWeight="medium">
                  {step.name}{" "}
                  <Text as="span" fontWeight="normal" color="fg.muted">
                    {step.state}
                  </Text>
                </Text>
                <Text textStyle="sm" color="fg.muted" whiteSpace="nowrap">
                  {took(step)}
                </Text>
              </Flex>
              {step.detail && (
                <Text textStyle="sm" color="fg.muted" overflowWrap="anywhere">
                  {step.detail}
                </Text>
              )}
            </Box>
          </List.Item>
        ))}
      </List.Root>
      {operation.error && (
        <Text mt="4" color="fg.error" role="alert" overflowWrap="anywhere">
          {operation.error.message}
        </Text>
      )}
    </Box>
  );
}
