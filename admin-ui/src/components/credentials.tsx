import { Alert, Stack } from "@chakra-ui/react";
import type { Credential } from "../api/schemas";
import { CodeBox } from "./code-box";

/** Connection strings. They are in this page's memory only and gone when it is left. */
export function Credentials({ credentials }: { credentials: Pick<Credential, "login" | "url">[] }) {
  return (
    <Stack gap="4">
      <Alert.Root status="warning">
        <Alert.Indicator />
        <Alert.Content>
          <Alert.Title>Shown once</Alert.Title>
          <Alert.Description>
            Copy what you need now. A lost secret cannot be read again, only replaced.
          </Alert.Description>
        </Alert.Content>
      </Alert.Root>
      {credentials.map(({ login, url }) => (
        <CodeBox key={login} label={`Connection string for ${login}`} text={url} wrap />
      ))}
    </Stack>
  );
}
