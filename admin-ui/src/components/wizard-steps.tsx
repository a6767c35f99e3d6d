import { Input, NativeSelect, Stack, Text } from "@chakra-ui/react";
import { useFormContext } from "react-hook-form";
import { useTemplates } from "../api/queries";
import { asCurl, asPalisade } from "../lib/command";
import type { Draft, KeyedRequest } from "../lib/draft";
import { CodeBox } from "./code-box";
import { Facts } from "./facts";
import { FormField } from "./form-field";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";

/** The first step: what the tenant is called. */
export function Details() {
  const { register, formState } = useFormContext<Draft>();
  const { errors } = formState;
  return (
    <Section title="Details">
      <Stack gap="5">
        <FormField
          label="Slug"
          required
          error={errors.slug?.message}
          help="Its database name in connection strings, such as acme."
        >
          <Input {...register("slug")} autoComplete="off" autoCapitalize="none" spellCheck={false} />
        </FormField>
        <FormField
          label="Display name"
          error={errors.display_name?.message}
          help="For people. The slug, if left empty."
        >
          <Input {...register("display_name")} autoComplete="off" />
        </FormField>
      </Stack>
    </Section>
  );
}

/** The second step: what it is made from. */
export function Configuration() {
  const { register, formState } = useFormContext<Draft>();
  const templates = useTemplates();
  return (
    <Section title="Configuration">
      <Stack gap="5">
        {templates.isError && (
          <ProblemAlert error={templates.error} onRetry={() => void templates.refetch()} />
        )}
        <FormField label="Template" help="The tables and functions that the tenant begins with.">
          <NativeSelect.Root disabled={templates.isPending}>
            <NativeSelect.Field {...register("template")}>
              <option value="">the control plane&apos;s default</option>
              {templates.data?.items.map(({ name, version }) => (
                <option key={name} value={name}>
                  {name} (version {version})
                </option>
              ))}
            </NativeSelect.Field>
            <NativeSelect.Indicator />
          </NativeSelect.Root>
        </FormField>
        <FormField label="Plan" error={formState.errors.plan?.message} help="“default”, if left empty.">
          <Input {...register("plan")} autoComplete="off" />
        </FormField>
      </Stack>
    </Section>
  );
}

/** The third step: what will be sent, here or from a terminal. */
export function Confirmation({ request }: { request: KeyedRequest }) {
  const { body, key } = request;
  return (
    <>
      <Section title="Confirmation">
        <Facts
          facts={[
            ["Slug", body.slug],
            ["Display name", body.display_name ?? body.slug],
            ["Template", body.template ?? "the control plane's default"],
            ["Plan", body.plan ?? "default"],
          ]}
        />
      </Section>
      <Section title="The same from a terminal">
        <Stack gap="4">
          <Text color="fg.muted" textStyle="sm">
            Both take the token from the variable PALISADE_ADMIN_TOKEN. The curl request has this draft&apos;s
            key: sent twice, here and there, it makes one tenant.
          </Text>
          <CodeBox label="palisade" text={asPalisade(body)} />
          <CodeBox label="curl" text={asCurl(window.location.origin, body, key)} />
        </Stack>
      </Section>
    </>
  );
}
