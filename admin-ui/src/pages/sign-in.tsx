import { Alert, Box, Button, Center, Code, Heading, Stack, Text, Textarea } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { useForm } from "react-hook-form";
import { z } from "zod";
import { hasProvider, providerUrl, signIn } from "../api/session";
import { FormField } from "../components/form-field";
import { Logo } from "../components/logo";
import { ProblemAlert } from "../components/problem-alert";
import { useSession } from "../lib/session";

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

/** Leads to the organisation's provider where there is one; otherwise, or beside it, takes a token. */
export function SignIn() {
  const { notice } = useSession();
  const form = useForm({ resolver: zodResolver(schema), defaultValues: { token: "" } });
  const attempt = useMutation({
    mutationFn: signIn,
    gcTime: 0,
  });
  const provider = useQuery({
    queryKey: ["provider"],
    queryFn: ({ signal }) => hasProvider(signal),
    retry: false,
    staleTime: Infinity,
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
        {provider.data && <ProviderLink />}
        <Text color="fg.muted" mt="1" mb="6">
          {provider.data ? "Or with" : "With"} a token for the control plane&apos;s API.
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
              The token is not kept: it opens a session, which a cookie holds that scripts cannot read.
            </Text>
          </Stack>
        </form>
      </Box>
    </Center>
  );
}

/** A page of the control plane, not of this UI: it leads on to the provider. */
function ProviderLink() {
  return (
    <Button asChild w="full" my="4">
      <a href={providerUrl(window.location.pathname + window.location.search)}>
        Sign in with your organisation
      </a>
    </Button>
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
