import { Box, Flex, List, Text } from "@chakra-ui/react";
import { Check } from "lucide-react";

interface ProgressProps {
  titles: string[];
  /** The current step, from 0. */
  step: number;
}

/** Where a wizard stands: an ordered list with a current item. Chakra's own is a tablist without tabs. */
export function Progress({ titles, step }: ProgressProps) {
  return (
    <List.Root as="ol" variant="plain" display="flex" flexDirection="row" gap="3" aria-label="Steps">
      {titles.map((title, index) => (
        <List.Item
          key={title}
          display="flex"
          alignItems="center"
          gap="2"
          flex={index < titles.length - 1 ? "1" : undefined}
          aria-current={index === step ? "step" : undefined}
        >
          <Mark index={index} step={step} />
          <Text
            fontWeight={index === step ? "semibold" : "normal"}
            color={index === step ? "fg" : "fg.muted"}
            srOnly={{ base: index !== step, sm: false }}
          >
            {title}
          </Text>
          {index < titles.length - 1 && (
            <Box
              flex="1"
              h="1px"
              bg={index < step ? "colorPalette.solid" : "border.emphasized"}
              aria-hidden
            />
          )}
        </List.Item>
      ))}
    </List.Root>
  );
}

function Mark({ index, step }: { index: number; step: number }) {
  const reached = index <= step;
  return (
    <Flex
      boxSize="8"
      flexShrink="0"
      align="center"
      justify="center"
      rounded="full"
      borderWidth="2px"
      textStyle="sm"
      borderColor={reached ? "colorPalette.solid" : "border.emphasized"}
      bg={index < step ? "colorPalette.solid" : "bg.panel"}
      color={index < step ? "colorPalette.contrast" : "fg"}
      aria-hidden
    >
      {index < step ? <Check size="1em" /> : index + 1}
    </Flex>
  );
}
