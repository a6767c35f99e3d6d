/** The whole UI: the sign-in page, or the routes for somebody who is signed in. */
import { ChakraProvider } from "@chakra-ui/react";
import { QueryClientProvider, type QueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect } from "react";
import { RouterProvider, type createBrowserRouter } from "react-router";
import { useSession } from "./lib/session";
import { system } from "./theme";

const SignIn = lazy(async () => ({ default: (await import("./pages/sign-in")).SignIn }));

interface AppProps {
  router: ReturnType<typeof createBrowserRouter>;
  client: QueryClient;
}

export function App({ router, client }: AppProps) {
  const { token } = useSession();
  // What one person read is not the next one's to see.
  useEffect(() => {
    if (token === null) client.clear();
  }, [client, token]);
  return (
    <ChakraProvider value={system}>
      <QueryClientProvider client={client}>
        {token === null ? (
          <Suspense>
            <SignIn />
          </Suspense>
        ) : (
          <RouterProvider router={router} />
        )}
      </QueryClientProvider>
    </ChakraProvider>
  );
}
