import { Alert, Button, Flex, Input, NativeSelect, SimpleGrid, Stack } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { z } from "zod";
import { problemOf } from "../api/client";
import { useChangeTenant, usePlans } from "../api/queries";
import type { Tenant } from "../api/schemas";
import { shortText } from "../lib/draft";
import { LIMIT_FIELDS, limitFacts, limitsAsText, limitsFromText, limitsSchema } from "../lib/limits";
import { actionsIn } from "../lib/states";
import { ActionButton } from "./action-button";
import { Facts } from "./facts";
import { FormField } from "./form-field";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";

const schema = z.object({
  display_name: shortText.refine((name) => name !== "", "A name is needed."),
  plan: z.string(),
  pool_mode: z.string(),
  limits: limitsSchema,
});

type Settings = z.infer<typeof schema>;

const settingsOf = (tenant: Tenant): Settings => ({
  display_name: tenant.display_name,
  plan: tenant.plan,
  pool_mode: tenant.pool_mode,
  limits: limitsAsText(tenant.limits),
});

/** A tenant's name, plan, pool mode and limits, shown and edited. */
export function SettingsSection({ tenant }: { tenant: Tenant }) {
  const [editing, setEditing] = useState<Tenant | null>(null);
  if (editing) {
    return (
      <Section title="Plan and limits">
        <Editor
          key={editing.generation}
          tenant={editing}
          newest={tenant}
          onReload={() => setEditing(tenant)}
          onDone={() => setEditing(null)}
        />
      </Section>
    );
  }
  const limits = limitFacts(tenant.effective_limits);
  return (
    <Section
      title="Plan and limits"
      actions={
        actionsIn(tenant.observed_state).change && (
          <ActionButton
            action="tenant.change"
            size="xs"
            variant="outline"
            aria-label="Edit plan and limits"
            onClick={() => setEditing(tenant)}
          >
            Edit
          </ActionButton>
        )
      }
    >
      <Facts
        facts={[
          ["Plan", tenant.plan],
          ["Pool mode", tenant.pool_mode],
          ...limits,
          ["Limits", limits.length === 0 && "the proxy's own"],
        ]}
      />
    </Section>
  );
}

interface EditorProps {
  /** As it was when editing began. */
  tenant: Tenant;
  /** As it is known now. */
  newest: Tenant;
  onReload: () => void;
  onDone: () => void;
}

function Editor({ tenant, newest, onReload, onDone }: EditorProps) {
  const change = useChangeTenant(tenant.id);
  const plans = usePlans();
  const form = useForm({
    resolver: zodResolver(schema),
    defaultValues: settingsOf(tenant),
    mode: "onChange",
  });
  const submit = form.handleSubmit(({ limits, ...rest }) => {
    const wish = { ...rest, limits: limitsFromText(limits) };
    change.mutate({ generation: tenant.generation, change: wish }, { onSuccess: onDone });
  });
  const { errors } = form.formState;
  const conflict = change.isError && problemOf(change.error).status === 412;
  const names = new Set([tenant.plan, ...(plans.data?.items.map(({ name }) => name) ?? [])]);
  return (
    <form noValidate onSubmit={submit}>
      <Stack gap="4">
        <SimpleGrid columns={{ base: 1, sm: 2 }} gap="4">
          <FormField label="Display name" required error={errors.display_name?.message}>
            <Input {...form.register("display_name")} autoComplete="off" />
          </FormField>
          <FormField label="Plan">
            <NativeSelect.Root>
              <NativeSelect.Field {...form.register("plan")}>
                {[...names].map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </NativeSelect.Field>
              <NativeSelect.Indicator />
            </NativeSelect.Root>
          </FormField>
          <FormField label="Pool mode">
            <NativeSelect.Root>
              <NativeSelect.Field {...form.register("pool_mode")}>
                <option>transaction</option>
                <option>session</option>
              </NativeSelect.Field>
              <NativeSelect.Indicator />
            </NativeSelect.Root>
          </FormField>
          {LIMIT_FIELDS.map(({ name, label, unit }) => (
            <FormField
              key={name}
              label={unit ? `${label} (${unit})` : label}
              error={errors.limits?.[name]?.message}
            >
              <Input {...form.register(`limits.${name}`)} inputMode="numeric" placeholder="the plan's" />
            </FormField>
          ))}
        </SimpleGrid>
        {conflict && <Conflict newer={newest.generation > tenant.generation} onReload={onReload} />}
        {change.isError && !conflict && <ProblemAlert error={change.error} />}
        <Flex gap="3" justify="flex-end">
          <Button variant="outline" size="sm" onClick={onDone}>
            Cancel
          </Button>
          <Button type="submit" size="sm" loading={change.isPending}>
            Save
          </Button>
        </Flex>
      </Stack>
    </form>
  );
}

function Conflict({ newer, onReload }: { newer: boolean; onReload: () => void }) {
  return (
    <Alert.Root status="warning" role="alert">
      <Alert.Indicator />
      <Alert.Content>
        <Alert.Title>Somebody else changed this tenant meanwhile</Alert.Title>
        <Alert.Description>
          Nothing was saved. Load what it is now; what you typed here is replaced by it.
        </Alert.Description>
      </Alert.Content>
      <Button size="xs" variant="outline" disabled={!newer} onClick={onReload}>
        Load it
      </Button>
    </Alert.Root>
  );
}
