import { Button, Input, NativeSelect, Text } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { z } from "zod";
import { useAddLogin, useRemoveLogin, useRotateLogin } from "../api/queries";
import type { Credential, Tenant } from "../api/schemas";
import { ConfirmDialog } from "./confirm-dialog";
import { Credentials } from "./credentials";
import { FormField } from "./form-field";
import { Modal, OrCancel } from "./modal";
import { ProblemAlert } from "./problem-alert";

/** A login's or a kind's name, as the control plane takes it. */
const word = z
  .string()
  .trim()
  .regex(/^[a-z][a-z0-9_]{0,31}$/, "1 to 32 characters of a-z, 0-9 and _, a letter first.");
const schema = z.object({ login: word, kind: word });

interface AddDialogProps {
  tenant: Tenant;
  onClose: () => void;
}

/** Adds a login, and shows its secret once. */
export function AddDialog({ tenant, onClose }: AddDialogProps) {
  const addition = useAddLogin(tenant.id);
  const form = useForm({ resolver: zodResolver(schema), defaultValues: { login: "", kind: "app" } });
  const { errors } = form.formState;
  if (addition.data) {
    return <Secret title={`Secret of ${addition.data.login}`} credential={addition.data} onClose={onClose} />;
  }
  return (
    <Modal
      title={`New login of ${tenant.slug}`}
      open
      onClose={onClose}
      onSubmit={form.handleSubmit((login) => addition.mutate(login))}
      footer={
        <OrCancel onCancel={onClose}>
          <Button type="submit" loading={addition.isPending}>
            Add the login
          </Button>
        </OrCancel>
      }
    >
      <FormField
        label="Name"
        required
        help="The user of its connection string."
        error={errors.login?.message}
      >
        <Input {...form.register("login")} autoComplete="off" spellCheck={false} />
      </FormField>
      <FormField
        label="Kind"
        required
        help="owner, app, readonly, or a kind that your policy has rules for."
        error={errors.kind?.message}
      >
        <Input {...form.register("kind")} autoComplete="off" spellCheck={false} list="kinds" />
      </FormField>
      <datalist id="kinds">
        <option value="owner" />
        <option value="app" />
        <option value="readonly" />
      </datalist>
      {addition.isError && <ProblemAlert error={addition.error} />}
    </Modal>
  );
}

interface LoginDialogProps extends AddDialogProps {
  login: string;
}

/** Removes a login, when it is said once more. */
export function RemoveDialog({ tenant, login, onClose }: LoginDialogProps) {
  const removal = useRemoveLogin(tenant.id);
  return (
    <ConfirmDialog
      title={`Remove ${login} of ${tenant.slug}`}
      verb="Remove the login"
      deed={removal}
      onConfirm={() => removal.mutate(login, { onSuccess: onClose })}
      onClose={onClose}
    >
      <Text>Its secret is refused from now on and its sessions end. What it has made stays.</Text>
    </ConfirmDialog>
  );
}

function Secret({
  title,
  credential,
  onClose,
}: {
  title: string;
  credential: Omit<Credential, "kind">;
  onClose: () => void;
}) {
  return (
    <Modal
      title={title}
      open
      sticky
      onClose={onClose}
      footer={<Button onClick={onClose}>I have stored it</Button>}
    >
      <Credentials credentials={[credential]} />
    </Modal>
  );
}

/** How long an old secret stays good, in seconds. */
const GRACE = [
  [0, "is refused at once"],
  [3_600, "stays good for an hour"],
  [86_400, "stays good for a day"],
  [604_800, "stays good for a week"],
] as const;

/** Gives a login a new secret, and shows it once. */
export function RotateDialog({ tenant, login, onClose }: LoginDialogProps) {
  const rotation = useRotateLogin(tenant.id);
  const [grace, setGrace] = useState("0");
  if (rotation.data) {
    return <Secret title={`New secret for ${login}`} credential={rotation.data} onClose={onClose} />;
  }
  return (
    <Modal
      title={`Rotate ${login} of ${tenant.slug}`}
      open
      alert
      onClose={onClose}
      footer={
        <OrCancel onCancel={onClose}>
          <Button
            loading={rotation.isPending}
            onClick={() => rotation.mutate({ login, graceSeconds: Number(grace) })}
          >
            Make a new secret
          </Button>
        </OrCancel>
      }
    >
      <Text>The login gets a new secret, which is shown once.</Text>
      <FormField label="The old secret" help="Sessions of the old secret end with it.">
        <NativeSelect.Root>
          <NativeSelect.Field value={grace} onChange={(event) => setGrace(event.target.value)}>
            {GRACE.map(([seconds, text]) => (
              <option key={seconds} value={seconds}>
                {text}
              </option>
            ))}
          </NativeSelect.Field>
          <NativeSelect.Indicator />
        </NativeSelect.Root>
      </FormField>
      {rotation.isError && <ProblemAlert error={rotation.error} />}
    </Modal>
  );
}
