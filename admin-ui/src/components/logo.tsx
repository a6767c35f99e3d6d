import { Flex, Icon, Text } from "@chakra-ui/react";

/** Three stakes and the name. */
export function Logo() {
  return (
    <Flex align="center" gap="2" color="colorPalette.fg" py="2">
      <Icon boxSize="6" aria-hidden>
        <svg viewBox="0 0 24 24" fill="currentColor">
          <path d="M3 8l2.5-4L8 8v13H3zM9.5 8L12 4l2.5 4v13h-5zM16 8l2.5-4L21 8v13h-5z" />
        </svg>
      </Icon>
      <Text fontWeight="bold" textStyle="lg">
        Palisade
      </Text>
    </Flex>
  );
}
