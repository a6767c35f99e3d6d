import { Button, Flex, IconButton, Input, Link } from "@chakra-ui/react";
import { BookmarkPlus, X } from "lucide-react";
import { useState } from "react";
import { Link as RouterLink, useLocation } from "react-router";
import { NAME_CHARS, readViews, withView, writeViews, type View } from "../lib/views";

/** Names for filters: kept in this browser, each a link. `list` names whose they are. */
export function SavedViews({ list }: { list: string }) {
  const { pathname, search } = useLocation();
  const [views, setViews] = useState(() => readViews(list));
  const [name, setName] = useState<string | null>(null);
  const change = (next: View[]) => {
    setViews(next);
    writeViews(list, next);
  };
  const save = () => {
    const trimmed = name?.trim();
    if (trimmed) change(withView(views, { name: trimmed, query: search }));
    setName(null);
  };
  if (views.length === 0 && search === "") return null;
  return (
    <Flex gap="2" wrap="wrap" align="center" mb="4" role="group" aria-label="Saved views">
      {views.map((view) => (
        <Flex key={view.name} align="center" borderWidth="1px" rounded="md" bg="bg.panel">
          <Link asChild px="2" py="1" textStyle="sm" aria-current={view.query === search || undefined}>
            <RouterLink to={`${pathname}${view.query}`}>{view.name}</RouterLink>
          </Link>
          <IconButton
            size="2xs"
            variant="ghost"
            aria-label={`Forget the view ${view.name}`}
            onClick={() => change(views.filter((other) => other !== view))}
          >
            <X aria-hidden />
          </IconButton>
        </Flex>
      ))}
      {name === null && search !== "" && (
        <Button size="xs" variant="outline" onClick={() => setName("")}>
          <BookmarkPlus aria-hidden /> Save this view
        </Button>
      )}
      {name !== null && <NameForm name={name} onChange={setName} onSave={save} />}
    </Flex>
  );
}

interface NameFormProps {
  name: string;
  onChange: (name: string | null) => void;
  onSave: () => void;
}

function NameForm({ name, onChange, onSave }: NameFormProps) {
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onSave();
      }}
    >
      <Flex gap="2">
        <Input
          size="xs"
          w="10rem"
          autoFocus
          aria-label="Name of the view"
          maxLength={NAME_CHARS}
          value={name}
          onChange={(event) => onChange(event.target.value)}
          onKeyDown={(event) => event.key === "Escape" && onChange(null)}
        />
        <Button size="xs" type="submit">
          Save
        </Button>
      </Flex>
    </form>
  );
}
