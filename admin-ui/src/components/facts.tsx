import { DataList } from "@chakra-ui/react";
import type { ReactNode } from "react";

export type Fact = [label: string, value: ReactNode];

/** Names and their values; a fact without a value is left out. */
export function Facts({ facts }: { facts: Fact[] }) {
  return (
    <DataList.Root orientation="horizontal" gap="2.5" size="md">
      {facts
        .filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false)
        .map(([label, value]) => (
          <DataList.Item key={label} alignItems="baseline">
            <DataList.ItemLabel
              minW={{ base: "6.5rem", sm: "8.5rem" }}
              maxW={{ base: "6.5rem", sm: "8.5rem" }}
            >
              {label}
            </DataList.ItemLabel>
            <DataList.ItemValue minW="0" overflowWrap="anywhere" display="block">
              {value}
            </DataList.ItemValue>
          </DataList.Item>
        ))}
    </DataList.Root>
  );
}
