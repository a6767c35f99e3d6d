import { Box, Flex, Heading } from "@chakra-ui/react";
import { useId, type ReactNode } from "react";

interface SectionProps {
  title: string;
  /** What can be done in this section. */
  actions?: ReactNode;
  children: ReactNode;
}

/** A framed part of a page, with its heading. */
export function Section({ title, actions, children }: SectionProps) {
  const id = useId();
  return (
    <Box as="section" aria-labelledby={id} bg="bg.panel" borderWidth="1px" rounded="lg" minW="0">
      <Flex justify="space-between" align="center" gap="3" wrap="wrap" px={{ base: "4", md: "5" }} pt="4">
        <Heading as="h2" id={id} size="md">
          {title}
        </Heading>
        {actions}
      </Flex>
      <Box px={{ base: "4", md: "5" }} pt="3" pb="5">
        {children}
      </Box>
    </Box>
  );
}
