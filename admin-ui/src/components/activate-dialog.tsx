import { Button, Input, Text } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { useForm } from "react-hook-form";
import { z } from "zod";
import {
  useActivatePolicy,
  useEpoch,
  usePolicyCheck,
  useRestorePolicy,
  type ChangeNote,
  type Epoch,
  type PolicyCheck,
} from "../api/policy";
import { reasonText } from "../lib/draft";
import type { PolicyDraft } from "../lib/policy-draft";
import { FormField } from "./form-field";
import { Loading } from "./loading";
import { Modal, OrCancel } from "./modal";
import { CheckView } from "./policy-check";
import { ProblemAlert } from "./problem-alert";

const schema = z.object({ comment: reasonText });

interface DialogProps {
  title: string;
  verb: string;
  /** What it changes; undefined while that is asked. */
  check: PolicyCheck | undefined;
  problem: unknown;
  busy: boolean;
  onClose: () => void;
  onConfirm: (comment: string) => void;
}

/** What a change of the policy would do, and why it is made. */
function PolicyDialog({ title, verb, check, problem, busy, onClose, onConfirm }: DialogProps) {
  const form = useForm({ resolver: zodResolver(schema), defaultValues: { comment: "" } });
  return (
    <Modal
      title={title}
      open
      onClose={onClose}
      onSubmit={form.handleSubmit(({ comment }) => onConfirm(comment))}
      footer={
        <OrCancel onCancel={onClose}>
          <Button type="submit" disabled={!check?.usable} loading={busy}>
            {verb}
          </Button>
        </OrCancel>
      }
    >
      <Text>Every proxy judges by it within a second. Statements that run are not cut.</Text>
      {check ? <CheckView check={check} /> : !problem && <Loading what="what changes" />}
      <FormField
        label="Comment"
        required
        help="It stands in the history and in the audit trail."
        error={form.formState.errors.comment?.message}
      >
        <Input {...form.register("comment")} autoComplete="off" />
      </FormField>
      {problem != null && <ProblemAlert error={problem} />}
    </Modal>
  );
}

interface ActivateDialogProps {
  draft: PolicyDraft;
  check: PolicyCheck;
  onClose: () => void;
  onDone: () => void;
}

export function ActivateDialog({ draft, check, onClose, onDone }: ActivateDialogProps) {
  const activation = useActivatePolicy();
  const confirm = (comment: string) => {
    const { model, policy, base } = draft;
    const note: ChangeNote = { comment, expected_epoch: base };
    const onSuccess = () => {
      onDone();
      onClose();
    };
    activation.mutate({ model, policy, ...note }, { onSuccess });
  };
  return (
    <PolicyDialog
      title={`Activate after epoch ${draft.base}`}
      verb="Activate"
      check={check}
      problem={activation.error}
      busy={activation.isPending}
      onClose={onClose}
      onConfirm={confirm}
    />
  );
}

interface RestoreDialogProps {
  epoch: Epoch;
  /** The epoch in force. */
  active: number;
  onClose: () => void;
}

/** Brings an earlier policy back, as a new epoch. */
export function RestoreDialog({ epoch, active, onClose }: RestoreDialogProps) {
  const earlier = useEpoch(epoch.epoch);
  const texts = earlier.data ? { model: earlier.data.model, policy: earlier.data.policy } : null;
  const check = usePolicyCheck(texts);
  const restoration = useRestorePolicy();
  const confirm = (comment: string) =>
    restoration.mutate({ epoch: epoch.epoch, comment, expected_epoch: active }, { onSuccess: onClose });
  return (
    <PolicyDialog
      title={`Go back to epoch ${epoch.epoch}`}
      verb="Go back"
      check={check.data}
      problem={restoration.error ?? earlier.error ?? check.error}
      busy={restoration.isPending}
      onClose={onClose}
      onConfirm={confirm}
    />
  );
}
