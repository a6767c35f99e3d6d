import { Alert } from "@chakra-ui/react";
import { PageHead } from "./page-head";

/** A page that the caller's roles do not open, and why. */
export function Forbidden({ title, reason }: { title: string; reason: string }) {
  return (
    <>
      <PageHead title={title} />
      <Alert.Root status="warning" role="status">
        <Alert.Indicator />
        <Alert.Content>
          <Alert.Title>Not for your roles</Alert.Title>
          <Alert.Description>{reason} Ask somebody who may change roles.</Alert.Description>
        </Alert.Content>
      </Alert.Root>
    </>
  );
}
