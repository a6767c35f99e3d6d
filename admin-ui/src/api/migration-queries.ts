/** Migrations of the fleet: what the pages read and change. */
import {
  keepPreviousData,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import * as api from "./endpoints";
import type { StartMigration } from "./schemas";

/** Time between two looks at a migration that runs, in milliseconds. */
const POLL_MS = 1_500;
/** Targets on one page: the API's most. */
const TARGET_PAGE = 200;

export const useMigrations = () =>
  useQuery({
    queryKey: ["migrations"],
    queryFn: ({ signal }) => api.listMigrations({ signal }),
    refetchInterval: ({ state }) =>
      state.data?.items.some((migration) => migration.state === "running") ? POLL_MS : false,
  });

export const useMigration = (id: string) =>
  useQuery({
    queryKey: ["migrations", id],
    queryFn: ({ signal }) => api.showMigration(id, { signal }),
    refetchInterval: ({ state }) => (state.data?.state === "running" ? POLL_MS : false),
  });

export const useTargets = (id: string, state: string, running: boolean) =>
  useInfiniteQuery({
    queryKey: ["migrations", id, "targets", state],
    queryFn: ({ signal, pageParam }) =>
      api.listTargets(id, { state, cursor: pageParam, limit: TARGET_PAGE }, { signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    refetchInterval: running ? POLL_MS : false,
  });

export const usePlanMigration = () =>
  useMutation({ mutationFn: (wish: StartMigration) => api.startMigration({ ...wish, dry_run: true }) });

function useMigrationsChanged() {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: ["migrations"] });
}

export function useStartMigration() {
  const onSettled = useMigrationsChanged();
  return useMutation({ mutationFn: (wish: StartMigration) => api.startMigration(wish), onSettled });
}

export function useMoveMigration(id: string) {
  const onSettled = useMigrationsChanged();
  return useMutation({ mutationFn: (move: api.MigrationMove) => api.moveMigration(id, move), onSettled });
}
