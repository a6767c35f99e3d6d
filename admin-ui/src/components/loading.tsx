import { Center, Spinner, Text, VStack } from "@chakra-ui/react";

/** Waiting for something named. */
export function Loading({ what }: { what: string }) {
  return (
    <Center py="16" role="status">
      <VStack gap="3">
        <Spinner size="lg" color="colorPalette.fg" aria-hidden />
        <Text color="fg.muted">Loading {what} …</Text>
      </VStack>
    </Center>
  );
}
