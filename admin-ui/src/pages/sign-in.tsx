import { Alert, Box, Button, Center, Code, Heading, Stack, Text, Textarea } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation } from "@tanstack/react-query";
import { useEffect } from "react";
import { useForm } from "react-hook-form";
import { z } from "zod";
import { whoami } from "../api/endpoints";
import { FormField } from "../components/form-field";
import { Logo } from "../components/logo";
import { ProblemAlert } from "../components/problem-alert";
import { beginSession, useSession } from "../lib/session";

/** Longest token, in characters: longer ones do not fit into a request's head. */
const TOKEN_CHARS = 8_000;

const schema = z.object({
  token: z
    .string()
    .trim()
    .min(1, "A token is needed.")
    .max(TOKEN_CHARS, `At most ${TOKEN_CHARS} characters.`)
    .regex(/^[\x21-\x7e]+$/, "A token is one word without spaces."),
});

/** Asks for a bearer token, tries it, and keeps it for this tab. */
export function SignIn() {
  const { notice } = useSession();
  const form = useForm({ resolver: zodResolver(schema), defaultValues: { token: "" } });
  const attempt = useMutation({
    mutationFn: (token: string) => whoami({ token }),
    onSuccess: (_, token) => beginSession(token),
    gcTime: 0,
  });
  useEffect(() => {
    document.title = "Sign in · Palisade";
  }, []);
  return (
    <Center as="main" minH="100dvh" p="4">
      <Box
        bg="bg.panel"
        borderWidth="1px"
        rounded="xl"
        shadow="sm"
        p={{ base: "5", md: "8" }}
        w="full"
        maxW="md"
      >
        <Logo />
        <Heading as="h1" size="xl" mt="4">
          Sign in
        </Heading>
        <Text color="fg.muted" mt="1" mb="6">
          With a token for the control plane&apos;s API.
        </Text>
        <form noValidate onSubmit={form.handleSubmit(({ token }) => attempt.mutate(token))}>
          <Stack gap="5">
            {attempt.isError ? <ProblemAlert error={attempt.error} /> : notice && <Ended notice={notice} />}
            <FormField
              label="Token"
              required
              error={form.formState.errors.token?.message}
              help={
                <>
                  <Code>./dev up</Code> writes one to <Code>.palisade/dev.env</Code> as{" "}
                  <Code>PALISADE_ADMIN_TOKEN</Code>.
                </>
              }
            >
              <Textarea
                {...form.register("token")}
                rows={4}
                fontFamily="mono"
                textStyle="sm"
                autoComplete="off"
                spellCheck={false}
                autoFocus
              />
            </FormField>
            <Button type="submit" loading={attempt.isPending} loadingText="Trying the token …">
              Sign in
            </Button>
            <Text textStyle="sm" color="fg.muted">
              The token stays in this tab and is forgotten when the tab is closed.
            </Text>
          </Stack>
        </form>
      </Box>
    </Center>
  );
}

function Ended({ notice }: { notice: string }) {
  return (
    <Alert.Root status="warning" role="alert">
      <Alert.Indicator />
      <Alert.Content>
        <Alert.Title>You were signed out</Alert.Title>
        <Alert.Description>{notice}</Alert.Description>
      </Alert.Content>
    </Alert.Root>
  );
}
