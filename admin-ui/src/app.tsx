/** The whole UI: the sign-in page, or the routes for somebody who is signed in. */
import { ChakraProvider, Container, VisuallyHidden } from "@chakra-ui/react";
import { QueryClientProvider, useQuery, type QueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect } from "react";
import { RouterProvider, type createBrowserRouter } from "react-router";
import { findSession } from "./api/session";
import { Loading } from "./components/loading";
import { ProblemAlert } from "./components/problem-alert";
import { useSession } from "./lib/session";
import { system } from "./theme";

const SignIn = lazy(async () => ({ default: (await import("./pages/sign-in")).SignIn }));

interface AppProps {
  router: ReturnType<typeof createBrowserRouter>;
  client: QueryClient;
}

export function App({ router, client }: AppProps) {
  const { state } = useSession();
  // What one person read is not the next one's to see.
  useEffect(() => {
    if (state === "out") client.clear();
  }, [client, state]);
  return (
    <ChakraProvider value={system}>
      <QueryClientProvider client={client}>
        {state === "unknown" && <Finding />}
        {state === "out" && (
          <Suspense>
            <SignIn />
          </Suspense>
        )}
        {state === "in" && <RouterProvider router={router} />}
      </QueryClientProvider>
    </ChakraProvider>
  );
}

/** Asks the control plane whether there is a session. */
function Finding() {
  const { error, refetch } = useQuery({ queryKey: ["session"], queryFn: look, retry: false, gcTime: 0 });
  return (
    <Container as="main" maxW="xl" py="10">
      <VisuallyHidden asChild>
        <h1>Palisade</h1>
      </VisuallyHidden>
      {error ? (
        <ProblemAlert error={error} onRetry={() => void refetch()} />
      ) : (
        <Loading what="your session" />
      )}
    </Container>
  );
}

const look = async () => {
  await findSession();
  return true;
};
