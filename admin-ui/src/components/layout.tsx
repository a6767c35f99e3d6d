import {
  Box,
  Button,
  Container,
  Flex,
  IconButton,
  Link,
  SkipNavContent,
  SkipNavLink,
  Text,
} from "@chakra-ui/react";
import { LogOut, Moon, Sun } from "lucide-react";
import { useEffect, useRef } from "react";
import { NavLink, Outlet, ScrollRestoration, useLocation } from "react-router";
import { useWhoami } from "../api/queries";
import { useColorMode } from "../lib/color-mode";
import { signOut } from "../api/session";
import { Logo } from "./logo";

const PAGES = [
  { to: "/", text: "Home" },
  { to: "/tenants", text: "Tenants" },
  { to: "/migrations", text: "Migrations" },
  { to: "/audit", text: "Audit" },
  { to: "/policy", text: "Policy" },
  { to: "/playground", text: "Playground" },
  { to: "/isolation", text: "Isolation" },
  { to: "/approvals", text: "Approvals" },
  { to: "/tokens", text: "Tokens" },
];

/** The frame of every page: navigation, who is signed in, the page. */
export function Layout() {
  const main = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  const first = useRef(true);
  useEffect(() => {
    // A new page is read from its beginning; the first one leaves the focus to the browser.
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [pathname]);
  return (
    <Flex direction="column" minH="100dvh">
      <SkipNavLink>Skip to the page</SkipNavLink>
      <Header />
      <SkipNavContent asChild>
        <Box as="main" ref={main} tabIndex={-1} flex="1" py={{ base: "6", md: "8" }}>
          <Container maxW="6xl">
            <Outlet />
          </Container>
        </Box>
      </SkipNavContent>
      <ScrollRestoration />
    </Flex>
  );
}

function Header() {
  return (
    <Box as="header" bg="bg.panel" borderBottomWidth="1px" position="sticky" top="0" zIndex="docked">
      <Container maxW="8xl">
        <Flex align="center" columnGap="4" wrap="wrap">
          <Logo />
          <Flex
            as="nav"
            aria-label="Pages"
            gap="1"
            order={{ base: 3, md: 0 }}
            w={{ base: "full", md: "auto" }}
            overflowX="auto"
          >
            {PAGES.map(({ to, text }) => (
              <Link
                key={to}
                asChild
                px="2"
                py="3"
                color="fg.muted"
                borderBottomWidth="2px"
                borderColor="transparent"
                fontWeight="medium"
                focusVisibleRing="inside"
                _hover={{ color: "fg", textDecoration: "none" }}
                _currentPage={{ color: "colorPalette.fg", borderColor: "colorPalette.solid" }}
              >
                <NavLink to={to} end={to === "/"}>
                  {text}
                </NavLink>
              </Link>
            ))}
          </Flex>
          <Account />
        </Flex>
      </Container>
    </Box>
  );
}

function Account() {
  const { mode, toggle } = useColorMode();
  const { data } = useWhoami();
  return (
    <Flex ms="auto" align="center" gap="1" py="2" minW="0">
      {data && (
        <Text
          textStyle="sm"
          color="fg.muted"
          truncate
          hideBelow="sm"
          maxW={{ base: "6rem", md: "8rem" }}
          title={`${data.subject}: ${data.roles.join(", ")}`}
        >
          {data.subject} ({data.roles.join(", ")})
        </Text>
      )}
      <IconButton
        variant="ghost"
        size="sm"
        aria-label={mode === "dark" ? "Use light colours" : "Use dark colours"}
        onClick={toggle}
      >
        {mode === "dark" ? <Sun aria-hidden /> : <Moon aria-hidden />}
      </IconButton>
      <Button variant="ghost" size="sm" onClick={() => void signOut()}>
        <LogOut aria-hidden /> Sign out
      </Button>
    </Flex>
  );
}
