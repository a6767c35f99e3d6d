import { Box, Flex, Text } from "@chakra-ui/react";
import { CopyButton } from "./copy-button";

interface CodeBoxProps {
  /** What the text is; stands above it and names the copy button. */
  label: string;
  text: string;
  /** Breaks lines instead of scrolling. */
  wrap?: boolean;
}

/** A text to copy into a terminal or a program. */
export function CodeBox({ label, text, wrap = false }: CodeBoxProps) {
  return (
    <Box borderWidth="1px" rounded="md" overflow="hidden" bg="bg.panel">
      <Flex justify="space-between" align="center" px="3" py="1.5" bg="bg.muted" borderBottomWidth="1px">
        <Text textStyle="sm" fontWeight="medium">
          {label}
        </Text>
        <CopyButton value={text} what={label} />
      </Flex>
      <Box
        as="pre"
        tabIndex={0}
        role="region"
        aria-label={label}
        p="3"
        fontFamily="mono"
        textStyle="sm"
        overflowX="auto"
        whiteSpace={wrap ? "pre-wrap" : "pre"}
        overflowWrap={wrap ? "anywhere" : "normal"}
      >
        {text}
      </Box>
    </Box>
  );
}
