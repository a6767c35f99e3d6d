import { Button, Flex, Text } from "@chakra-ui/react";
import { lazy, Suspense, useState } from "react";
import { useNavigate } from "react-router";
import type { Tenant } from "../api/schemas";
import type { BulkAction } from "../lib/bulk";
import { ActionButton } from "./action-button";

const BulkDialog = lazy(() => import("./bulk-dialog"));

/** Most canaries of a migration, as in the control plane. */
const CANARIES = 100;

interface BulkBarProps {
  /** The tenants that are marked. */
  tenants: Tenant[];
  onClear: () => void;
}

/** What can be done with all that is marked. */
export function BulkBar({ tenants, onClear }: BulkBarProps) {
  const [open, setOpen] = useState<BulkAction | null>(null);
  const navigate = useNavigate();
  if (tenants.length === 0) return null;
  const canaries = tenants.slice(0, CANARIES).map(({ slug }) => slug);
  const migrate = () => void navigate(`/migrations/new?canary=${encodeURIComponent(canaries.join(","))}`);
  return (
    <Flex gap="2" align="center" wrap="wrap" mb="4" role="group" aria-label="With the marked tenants">
      <Text role="status">{tenants.length.toLocaleString()} marked</Text>
      <ActionButton action="tenant.suspend" size="xs" variant="outline" onClick={() => setOpen("suspend")}>
        Suspend …
      </ActionButton>
      <ActionButton action="tenant.resume" size="xs" variant="outline" onClick={() => setOpen("resume")}>
        Resume …
      </ActionButton>
      <ActionButton action="migration.start" size="xs" variant="outline" onClick={migrate}>
        Migrate first …
      </ActionButton>
      <Button size="xs" variant="ghost" onClick={onClear}>
        Unmark all
      </Button>
      {open && (
        <Suspense>
          <BulkDialog action={open} tenants={tenants} onClose={() => setOpen(null)} />
        </Suspense>
      )}
    </Flex>
  );
}
