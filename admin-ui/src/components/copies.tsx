import { Button, Checkbox, Flex, Input, Text } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { Copy, Download } from "lucide-react";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { Link as RouterLink } from "react-router";
import { z } from "zod";
import { useClone, useExport } from "../api/copies";
import type { CreatedTenant, Tenant } from "../api/schemas";
import { draftSchema } from "../lib/draft";
import { saveBlob } from "../lib/download";
import { ActionButton } from "./action-button";
import { Credentials } from "./credentials";
import { FormField } from "./form-field";
import { Modal, OrCancel } from "./modal";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";

const schema = z.object({ slug: draftSchema.shape.slug, structure_only: z.boolean() });

/** A tenant's content as a file, or as a tenant of its own. */
export function Copies({ tenant }: { tenant: Tenant }) {
  const [open, setOpen] = useState<"export" | "clone" | null>(null);
  const close = () => setOpen(null);
  return (
    <Section title="Copies">
      <Text color="fg.muted" mb="3">
        Both are read as the tenant&apos;s own owner, through the proxy.
      </Text>
      <Flex gap="3" wrap="wrap">
        <ActionButton action="tenant.export" size="sm" variant="outline" onClick={() => setOpen("export")}>
          <Download aria-hidden /> Export
        </ActionButton>
        <ActionButton action="tenant.clone" size="sm" variant="outline" onClick={() => setOpen("clone")}>
          <Copy aria-hidden /> Clone
        </ActionButton>
      </Flex>
      {open === "export" && <ExportDialog tenant={tenant} onClose={close} />}
      {open === "clone" && <CloneDialog tenant={tenant} onClose={close} />}
    </Section>
  );
}

function ExportDialog({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const { mutate, ...copy } = useExport(tenant.id);
  const [structureOnly, setStructureOnly] = useState(false);
  const start = () =>
    mutate(structureOnly, {
      onSuccess: (file) => {
        saveBlob(`${tenant.slug}.sql`, file);
        onClose();
      },
    });
  return (
    <Modal
      title={`Export ${tenant.slug}`}
      open
      onClose={onClose}
      footer={
        <OrCancel onCancel={onClose}>
          <Button loading={copy.isPending} loadingText="Reading …" onClick={start}>
            Download
          </Button>
        </OrCancel>
      }
    >
      <Text>A file of SQL statements, as pg_dump writes it. It holds the tenant&apos;s data.</Text>
      <StructureOnly checked={structureOnly} onChange={setStructureOnly} />
      {copy.isError && <ProblemAlert error={copy.error} />}
    </Modal>
  );
}

function StructureOnly({ checked, onChange }: { checked: boolean; onChange: (checked: boolean) => void }) {
  return (
    <Checkbox.Root checked={checked} onCheckedChange={(change) => onChange(change.checked === true)}>
      <Checkbox.HiddenInput />
      <Checkbox.Control />
      <Checkbox.Label>Without the data</Checkbox.Label>
    </Checkbox.Root>
  );
}

function CloneDialog({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const clone = useClone(tenant.id);
  // One key for the dialog's life: a click too many makes no second clone.
  const [key] = useState(() => crypto.randomUUID());
  const form = useForm({
    resolver: zodResolver(schema),
    defaultValues: { slug: `${tenant.slug}-copy`, structure_only: false },
    mode: "onChange",
  });
  if (clone.data) return <Cloned created={clone.data} onClose={onClose} />;
  return (
    <Modal
      title={`Clone ${tenant.slug}`}
      open
      onClose={onClose}
      onSubmit={form.handleSubmit((body) => clone.mutate({ body, key }))}
      footer={
        <OrCancel onCancel={onClose}>
          <Button type="submit" loading={clone.isPending}>
            Clone
          </Button>
        </OrCancel>
      }
    >
      <Text>A new tenant with this one&apos;s tables and data, and with logins of its own.</Text>
      <FormField label="Slug of the clone" required error={form.formState.errors.slug?.message}>
        <Input {...form.register("slug")} autoComplete="off" spellCheck={false} />
      </FormField>
      <StructureOnly
        checked={form.watch("structure_only")}
        onChange={(checked) => form.setValue("structure_only", checked)}
      />
      {clone.isError && <ProblemAlert error={clone.error} />}
    </Modal>
  );
}

function Cloned({
  created: { tenant, credentials },
  onClose,
}: {
  created: CreatedTenant;
  onClose: () => void;
}) {
  return (
    <Modal
      title={`${tenant?.slug ?? "The clone"} is being made`}
      open
      sticky
      onClose={onClose}
      footer={
        <>
          <Button variant="outline" onClick={onClose}>
            I have stored them
          </Button>
          {tenant && (
            <Button asChild>
              <RouterLink to={`/tenants/${tenant.id}`}>To the clone</RouterLink>
            </Button>
          )}
        </>
      }
    >
      <Credentials credentials={credentials} />
    </Modal>
  );
}
