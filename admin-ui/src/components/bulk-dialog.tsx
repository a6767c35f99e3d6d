import { Button, Input, List, Text } from "@chakra-ui/react";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { problemOf } from "../api/client";
import { switchTenant } from "../api/endpoints";
import type { Tenant } from "../api/schemas";
import { bulkPlan, runBulk, type BulkAction, type BulkResult } from "../lib/bulk";
import { reasonText } from "../lib/draft";
import { FormField } from "./form-field";
import { Modal, OrCancel } from "./modal";

interface BulkDialogProps {
  action: BulkAction;
  tenants: Tenant[];
  onClose: () => void;
}

/** Says how many would be changed, then changes them one after the other. */
export default function BulkDialog({ action, tenants, onClose }: BulkDialogProps) {
  // Held from the beginning: the list behind it changes while it runs.
  const [{ fits, left }] = useState(() => bulkPlan(tenants, action));
  const [reason, setReason] = useState("");
  const [error, setError] = useState<string>();
  const [result, setResult] = useState<BulkResult | null>(null);
  const client = useQueryClient();
  const run = async () => {
    const checked = reasonText.safeParse(reason);
    setError(checked.error?.issues[0]?.message);
    if (!checked.success) return;
    setResult({ done: 0, failed: [] });
    await runBulk(fits, ({ id }) => switchTenant(id, action, checked.data), setResult);
    void client.invalidateQueries();
  };
  const over = result !== null && result.done + result.failed.length === fits.length;
  const verb = action === "suspend" ? "Suspend" : "Resume";
  return (
    <Modal
      title={`${verb} ${fits.length.toLocaleString()} tenants`}
      open
      alert
      sticky={result !== null && !over}
      onClose={onClose}
      onSubmit={(event) => {
        event.preventDefault();
        void run();
      }}
      footer={
        over ? (
          <Button onClick={onClose}>Close</Button>
        ) : (
          <OrCancel onCancel={onClose} disabled={result !== null}>
            <Button type="submit" disabled={fits.length === 0} loading={result !== null}>
              {verb} {fits.length.toLocaleString()}
            </Button>
          </OrCancel>
        )
      }
    >
      <Text>
        {fits.length.toLocaleString()} of the marked tenants would be changed
        {left > 0 && `; ${left.toLocaleString()} are not in a state for it and stay as they are`}.
        {action === "suspend" && " Their connections are ended."}
      </Text>
      {result === null && (
        <FormField label="Reason" required error={error}>
          <Input value={reason} onChange={(event) => setReason(event.target.value)} autoComplete="off" />
        </FormField>
      )}
      {result && <Outcome result={result} of={fits.length} />}
    </Modal>
  );
}

function Outcome({ result, of }: { result: BulkResult; of: number }) {
  return (
    <>
      <Text role="status">
        {result.done.toLocaleString()} of {of.toLocaleString()} done, {result.failed.length} failed.
      </Text>
      {result.failed.length > 0 && (
        <List.Root ps="5" aria-label="Failed">
          {result.failed.map(({ slug, error }) => (
            <List.Item key={slug} overflowWrap="anywhere">
              {slug}: {problemOf(error).detail || problemOf(error).title}
            </List.Item>
          ))}
        </List.Root>
      )}
    </>
  );
}
