import { Alert, Button, Code } from "@chakra-ui/react";
import { RotateCw } from "lucide-react";
import { problemOf, SECOND_PERSON } from "../api/client";
import { SecondPerson } from "./second-person";

interface ProblemAlertProps {
  error: unknown;
  /** Offers to try again. */
  onRetry?: () => void;
}

/** An error in the control plane's words: what, why, and its status. */
export function ProblemAlert({ error, onRetry }: ProblemAlertProps) {
  const problem = problemOf(error);
  if (problem.type === SECOND_PERSON && problem.approval) return <SecondPerson approval={problem.approval} />;
  return (
    <Alert.Root status="error" role="alert">
      <Alert.Indicator />
      <Alert.Content overflowWrap="anywhere">
        <Alert.Title>
          {problem.title}
          {problem.status > 0 && ` (${problem.status})`}
        </Alert.Title>
        {problem.detail && <Alert.Description>{problem.detail}</Alert.Description>}
        {problem.errors?.map(({ field, detail }) => (
          <Alert.Description key={field}>
            {field}: {detail}
          </Alert.Description>
        ))}
        {problem.trace && (
          <Alert.Description textStyle="xs">
            Trace id <Code size="sm">{problem.trace}</Code>
          </Alert.Description>
        )}
      </Alert.Content>
      {onRetry && (
        <Button size="xs" variant="outline" onClick={onRetry}>
          <RotateCw aria-hidden /> Try again
        </Button>
      )}
    </Alert.Root>
  );
}
