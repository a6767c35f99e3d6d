import { Button, CloseButton, Dialog, Portal } from "@chakra-ui/react";
import type { FormEvent, ReactNode } from "react";

interface ModalProps {
  title: string;
  open: boolean;
  onClose: () => void;
  children: ReactNode;
  /** The buttons. */
  footer: ReactNode;
  /** Makes the dialog a form. */
  onSubmit?: (event: FormEvent) => void;
  /** Only the footer's buttons close it: for what cannot be shown again. */
  sticky?: boolean;
  /** Asks for attention at once, because something ends. */
  alert?: boolean;
}

/** A dialog: takes the focus, gives it back, closes on Escape. */
export function Modal(props: ModalProps) {
  const { title, open, onClose, children, footer, onSubmit, sticky = false, alert = false } = props;
  const parts = (
    <>
      <Dialog.Body display="flex" flexDirection="column" gap="4">
        {children}
      </Dialog.Body>
      <Dialog.Footer flexWrap="wrap">{footer}</Dialog.Footer>
    </>
  );
  return (
    <Dialog.Root
      role={alert ? "alertdialog" : "dialog"}
      open={open}
      onOpenChange={(details) => !details.open && onClose()}
      closeOnEscape={!sticky}
      closeOnInteractOutside={false}
      scrollBehavior="inside"
      size={{ base: "full", sm: "lg" }}
      lazyMount
      unmountOnExit
    >
      <Portal>
        <Dialog.Backdrop />
        <Dialog.Positioner>
          {/* What the size "full" of a phone sets must be taken back on wider screens. */}
          <Dialog.Content
            minH={{ base: "100dvh", sm: "auto" }}
            my={{ base: "0", sm: "16" }}
            rounded={{ base: "0", sm: "l3" }}
          >
            <Dialog.Header>
              <Dialog.Title>{title}</Dialog.Title>
            </Dialog.Header>
            {onSubmit ? (
              <form onSubmit={onSubmit} noValidate style={{ display: "contents" }}>
                {parts}
              </form>
            ) : (
              parts
            )}
            {!sticky && (
              <Dialog.CloseTrigger asChild>
                <CloseButton size="sm" aria-label="Close" />
              </Dialog.CloseTrigger>
            )}
          </Dialog.Content>
        </Dialog.Positioner>
      </Portal>
    </Dialog.Root>
  );
}

/** A footer's buttons behind one that leaves everything as it is. */
export function OrCancel({
  onCancel,
  disabled,
  children,
}: {
  onCancel: () => void;
  disabled?: boolean;
  children: ReactNode;
}) {
  return (
    <>
      <Button variant="outline" disabled={disabled} onClick={onCancel}>
        Cancel
      </Button>
      {children}
    </>
  );
}
