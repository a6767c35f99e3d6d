import { Button, Checkbox, CheckboxGroup, Fieldset, Flex, Input } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { Controller, useForm } from "react-hook-form";
import { z } from "zod";
import { useCreateToken } from "../api/tokens";
import { useWhoami } from "../api/queries";
import { CodeBox } from "./code-box";
import { FormField } from "./form-field";
import { Modal, OrCancel } from "./modal";
import { ProblemAlert } from "./problem-alert";

const ROLES = ["viewer", "auditor", "operator", "security", "admin", "owner"];
/** Longest life of a token, in days: as the control plane allows. */
const DAYS = 366;

const schema = z.object({
  name: z.string().trim().min(1, "A name is needed."),
  roles: z.array(z.string()).min(1, "Choose a role."),
  tenants: z.string(),
  days: z
    .string()
    .regex(/^\d+$/, "A number of days.")
    .refine((days) => Number(days) >= 1 && Number(days) <= DAYS, `1 to ${DAYS} days.`),
});

/** The tenants in a text, separated by commas or spaces; undefined means all. */
export function tenantsIn(text: string): string[] | undefined {
  const found = text.split(/[\s,]+/).filter(Boolean);
  return found.length > 0 ? found : undefined;
}

/** Makes a token, and shows its secret once. */
export function NewToken({ onClose }: { onClose: () => void }) {
  const creation = useCreateToken();
  const mine = useWhoami().data?.roles ?? [];
  const form = useForm({
    resolver: zodResolver(schema),
    defaultValues: { name: "", roles: ["viewer"], tenants: "", days: "90" },
  });
  const { errors } = form.formState;
  if (creation.data) {
    return (
      <Modal
        title={`Token ${creation.data.token.name}`}
        open
        sticky
        onClose={onClose}
        footer={<Button onClick={onClose}>I have stored it</Button>}
      >
        <CodeBox label="Secret, shown this once" text={creation.data.secret} wrap />
      </Modal>
    );
  }
  const submit = form.handleSubmit(({ tenants, days, ...wish }) =>
    creation.mutate({ ...wish, days: Number(days), tenants: tenantsIn(tenants) }),
  );
  return (
    <Modal
      title="New token"
      open
      onClose={onClose}
      onSubmit={submit}
      footer={
        <OrCancel onCancel={onClose}>
          <Button type="submit" loading={creation.isPending}>
            Make the token
          </Button>
        </OrCancel>
      }
    >
      <FormField label="Name" required error={errors.name?.message}>
        <Input {...form.register("name")} autoComplete="off" />
      </FormField>
      <Controller
        control={form.control}
        name="roles"
        render={({ field }) => (
          <Fieldset.Root invalid={!!errors.roles}>
            <Fieldset.Legend>Roles</Fieldset.Legend>
            <CheckboxGroup value={field.value} onValueChange={field.onChange}>
              <Flex gap="4" wrap="wrap">
                {ROLES.map((role) => (
                  <Checkbox.Root key={role} value={role}>
                    <Checkbox.HiddenInput />
                    <Checkbox.Control />
                    <Checkbox.Label>{role}</Checkbox.Label>
                  </Checkbox.Root>
                ))}
              </Flex>
            </CheckboxGroup>
            <Fieldset.HelperText>
              You are {mine.join(", ")}: a token may do no more than you.
            </Fieldset.HelperText>
            <Fieldset.ErrorText>{errors.roles?.message}</Fieldset.ErrorText>
          </Fieldset.Root>
        )}
      />
      <FormField label="Tenants" help="Slugs, separated by commas. Empty: all tenants.">
        <Input {...form.register("tenants")} autoComplete="off" spellCheck={false} />
      </FormField>
      <FormField label="Days until it ends" required error={errors.days?.message}>
        <Input {...form.register("days")} inputMode="numeric" maxW="8rem" />
      </FormField>
      {creation.isError && <ProblemAlert error={creation.error} />}
    </Modal>
  );
}
