import { Button, Flex, Stack, Text } from "@chakra-ui/react";
import { useState } from "react";
import { useEpoch, useEpochs, type Epoch } from "../api/policy";
import { ActionButton } from "./action-button";
import { RestoreDialog } from "./activate-dialog";
import { CodeBox } from "./code-box";
import { DataTable, type Columns } from "./data-table";
import { Loading } from "./loading";
import { Modal } from "./modal";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";
import { Time } from "./time";

interface Row extends Epoch {
  active: boolean;
  onShow: () => void;
  onRestore: () => void;
}

const COLUMNS: Columns<Row> = [
  {
    id: "epoch",
    header: "Epoch",
    cell: ({ row: { original } }) => (original.active ? `${original.epoch} (in force)` : original.epoch),
  },
  { id: "comment", header: "Comment", cell: ({ row: { original } }) => commentOf(original) },
  { id: "by", header: "By", cell: ({ row }) => row.original.made_by },
  {
    id: "at",
    header: "When",
    cell: ({ row: { original } }) => original.made_at && <Time iso={original.made_at} />,
  },
  { id: "do", header: "Actions", cell: ({ row }) => <RowActions row={row.original} /> },
];

/** What an epoch says about itself. */
function commentOf({ comment, restores, embedded }: Epoch): string {
  const words = restores != null ? `back to epoch ${restores}` : embedded ? "comes with Palisade" : "";
  return [...new Set([comment, words])].filter(Boolean).join("; ");
}

function RowActions({ row: { epoch, active, onShow, onRestore } }: { row: Row }) {
  return (
    <Flex gap="2">
      <Button size="xs" variant="outline" onClick={onShow} aria-label={`Show epoch ${epoch}`}>
        Show
      </Button>
      {!active && (
        <ActionButton
          action="policy.restore"
          size="xs"
          variant="outline"
          onClick={onRestore}
          aria-label={`Go back to epoch ${epoch}`}
        >
          Go back
        </ActionButton>
      )}
    </Flex>
  );
}

/** Every policy that was in force, newest first. */
export function PolicyHistory({ active }: { active: number }) {
  const epochs = useEpochs();
  const [shown, setShown] = useState<number | null>(null);
  const [restoring, setRestoring] = useState<Epoch | null>(null);
  const items = epochs.data?.pages.flatMap((page) => page.items) ?? [];
  const rows = items.map((epoch) => ({
    ...epoch,
    active: epoch.epoch === active,
    onShow: () => setShown(epoch.epoch),
    onRestore: () => setRestoring(epoch),
  }));
  return (
    <Section title="History">
      <Stack gap="3">
        {epochs.isPending && <Loading what="the history" />}
        {epochs.isError && <ProblemAlert error={epochs.error} onRetry={() => void epochs.refetch()} />}
        {rows.length > 0 && (
          <DataTable
            label="Epochs"
            columns={COLUMNS}
            rows={rows}
            rowId={({ epoch }) => String(epoch)}
            dense
          />
        )}
        {epochs.hasNextPage && (
          <Button alignSelf="start" size="sm" variant="outline" onClick={() => void epochs.fetchNextPage()}>
            Earlier epochs
          </Button>
        )}
      </Stack>
      {shown !== null && <EpochDialog epoch={shown} onClose={() => setShown(null)} />}
      {restoring && <RestoreDialog epoch={restoring} active={active} onClose={() => setRestoring(null)} />}
    </Section>
  );
}

function EpochDialog({ epoch, onClose }: { epoch: number; onClose: () => void }) {
  const texts = useEpoch(epoch);
  return (
    <Modal title={`Epoch ${epoch}`} open onClose={onClose} footer={<Button onClick={onClose}>Close</Button>}>
      {texts.isPending && <Loading what="the policy" />}
      {texts.isError && <ProblemAlert error={texts.error} onRetry={() => void texts.refetch()} />}
      {texts.data && (
        <>
          <Text>{commentOf(texts.data)}</Text>
          <CodeBox label="Lines" text={texts.data.policy} />
          <CodeBox label="Model" text={texts.data.model} />
        </>
      )}
    </Modal>
  );
}
