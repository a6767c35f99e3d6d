import { Button, VisuallyHidden, type ButtonProps } from "@chakra-ui/react";
import { useId } from "react";
import { useRefusal } from "../api/queries";
import type { Action } from "../lib/rights";

interface ActionButtonProps extends ButtonProps {
  /** What it does, as the control plane's rights name it. */
  action: Action;
}

/**
 * A button for something that needs a role. Without the role it stays where it is and can be reached, so that the
 * reason can be read, but does nothing.
 */
export function ActionButton({ action, children, onClick, ...props }: ActionButtonProps) {
  const refused = useRefusal(action);
  const reason = useId();
  if (refused === null) return <Button onClick={onClick} {...props} children={children} />;
  return (
    <>
      <Button
        {...props}
        type="button"
        aria-disabled
        aria-describedby={reason}
        title={refused}
        opacity="0.55"
        cursor="not-allowed"
      >
        {children}
      </Button>
      <VisuallyHidden id={reason}>{refused}</VisuallyHidden>
    </>
  );
}
