import { EmptyState, VStack } from "@chakra-ui/react";
import { Inbox } from "lucide-react";
import type { ReactNode } from "react";

interface EmptyProps {
  title: string;
  description: string;
  /** What to do about it. */
  children?: ReactNode;
}

/** A list that has nothing in it, and why. */
export function Empty({ title, description, children }: EmptyProps) {
  return (
    <EmptyState.Root role="status">
      <EmptyState.Content>
        <EmptyState.Indicator>
          <Inbox aria-hidden />
        </EmptyState.Indicator>
        <VStack textAlign="center">
          <EmptyState.Title asChild>
            <h2>{title}</h2>
          </EmptyState.Title>
          <EmptyState.Description>{description}</EmptyState.Description>
        </VStack>
        {children}
      </EmptyState.Content>
    </EmptyState.Root>
  );
}
