import { Box, Flex, Heading, Text } from "@chakra-ui/react";
import { useEffect, type ReactNode } from "react";

interface PageHeadProps {
  title: string;
  description?: ReactNode;
  /** What can be done on this page. */
  actions?: ReactNode;
}

/** A page's heading; also names the tab. */
export function PageHead({ title, description, actions }: PageHeadProps) {
  useEffect(() => {
    document.title = `${title} · Palisade`;
  }, [title]);
  return (
    <Flex justify="space-between" align="flex-start" gap="4" wrap="wrap" mb="6">
      <Box minW="0">
        <Heading as="h1" size="2xl" tabIndex={-1} overflowWrap="anywhere">
          {title}
        </Heading>
        {description && (
          <Text as="div" color="fg.muted" mt="1">
            {description}
          </Text>
        )}
      </Box>
      {actions && (
        <Flex gap="2" wrap="wrap">
          {actions}
        </Flex>
      )}
    </Flex>
  );
}
