import { Container, Link } from "@chakra-ui/react";
import { Link as RouterLink, useRouteError } from "react-router";
import { Empty } from "../components/empty";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";

/** An address that is no page. */
export function NotFound() {
  return (
    <>
      <PageHead title="No such page" />
      <Empty title="There is nothing at this address" description="The link may be old or mistyped.">
        <Link asChild variant="underline">
          <RouterLink to="/tenants">To the tenants</RouterLink>
        </Link>
      </Empty>
    </>
  );
}

/** A page that failed while it was loaded or shown. */
export function RouteProblem() {
  const error = useRouteError();
  return (
    <Container as="main" maxW="3xl" py="8">
      <PageHead title="This page failed" />
      <ProblemAlert error={error} onRetry={() => window.location.reload()} />
    </Container>
  );
}
