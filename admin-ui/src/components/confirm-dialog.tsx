import { Button } from "@chakra-ui/react";
import type { ReactNode } from "react";
import { Modal, OrCancel } from "./modal";
import { ProblemAlert } from "./problem-alert";

interface ConfirmDialogProps {
  title: string;
  /** What the button does, in words. */
  verb: string;
  /** The deed that is asked about. */
  deed: { isPending: boolean; isError: boolean; error: Error | null };
  onConfirm: () => void;
  onClose: () => void;
  /** What it takes away. */
  children: ReactNode;
}

/** Asks once more before something is taken away. */
export function ConfirmDialog({ title, verb, deed, onConfirm, onClose, children }: ConfirmDialogProps) {
  return (
    <Modal
      title={title}
      open
      alert
      onClose={onClose}
      footer={
        <OrCancel onCancel={onClose}>
          <Button colorPalette="red" loading={deed.isPending} onClick={onConfirm}>
            {verb}
          </Button>
        </OrCancel>
      }
    >
      {children}
      {deed.isError && <ProblemAlert error={deed.error} />}
    </Modal>
  );
}
