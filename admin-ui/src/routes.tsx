/** Every address of the UI. Each page is a file of its own in the build. */
import type { RouteObject } from "react-router";
import { Layout } from "./components/layout";
import { Loading } from "./components/loading";
import { NotFound, RouteProblem } from "./pages/not-found";

export const routes: RouteObject[] = [
  {
    path: "/",
    element: <Layout />,
    errorElement: <RouteProblem />,
    hydrateFallbackElement: <Loading what="the page" />,
    children: [
      { index: true, lazy: async () => ({ Component: (await import("./pages/home")).HomePage }) },
      {
        path: "tenants",
        lazy: async () => ({ Component: (await import("./pages/tenants")).TenantsPage }),
      },
      {
        path: "tenants/new",
        lazy: async () => ({ Component: (await import("./pages/new-tenant")).NewTenantPage }),
      },
      {
        path: "tenants/:id",
        lazy: async () => ({ Component: (await import("./pages/tenant")).TenantPage }),
      },
      {
        path: "migrations",
        lazy: async () => ({ Component: (await import("./pages/migrations")).MigrationsPage }),
      },
      {
        path: "migrations/new",
        lazy: async () => ({ Component: (await import("./pages/new-migration")).NewMigrationPage }),
      },
      {
        path: "migrations/:id",
        lazy: async () => ({ Component: (await import("./pages/migration")).MigrationPage }),
      },
      { path: "audit", lazy: async () => ({ Component: (await import("./pages/audit")).AuditPage }) },
      { path: "policy", lazy: async () => ({ Component: (await import("./pages/policy")).PolicyPage }) },
      {
        path: "approvals",
        lazy: async () => ({ Component: (await import("./pages/approvals")).ApprovalsPage }),
      },
      {
        path: "isolation",
        lazy: async () => ({ Component: (await import("./pages/isolation")).IsolationPage }),
      },
      {
        path: "isolation/:id",
        lazy: async () => ({ Component: (await import("./pages/isolation-run")).IsolationRunPage }),
      },
      { path: "tokens", lazy: async () => ({ Component: (await import("./pages/tokens")).TokensPage }) },
      {
        path: "playground",
        lazy: async () => ({ Component: (await import("./pages/playground")).PlaygroundPage }),
      },
      { path: "*", element: <NotFound /> },
    ],
  },
];
