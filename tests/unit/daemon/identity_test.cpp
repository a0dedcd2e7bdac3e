#include "daemon/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace buildwarden {
namespace {

using ::testing::StartsWith;

TEST(Identity, NumbersNeedNoEntryAndAutoFollowsTheAgent) {
  AgentSettings agent;
  agent.user = "4123";
  agent.group = "auto";
  EXPECT_EQ(*agent_group(agent), 4123U);
  EXPECT_EQ(*socket_group({}, agent), 4123U);
  agent.group = "4124";
  EXPECT_EQ(*socket_group({}, agent), 4124U);
}

TEST(Identity, AnErrorNamesTheKeyThatIsWrong) {
  AgentSettings agent;
  agent.user = "no-such-user";
  agent.group = "auto";
  EXPECT_THAT(agent_user(agent).error().message(), StartsWith("agent.user: "));
  EXPECT_THAT(agent_group(agent).error().message(), StartsWith("agent.user: "));
  agent.group = "no-such-group";
  EXPECT_THAT(agent_group(agent).error().message(), StartsWith("agent.group: "));
  ListenSettings listen;
  listen.group = "no-such-group";
  EXPECT_THAT(socket_group(listen, agent).error().message(), StartsWith("listen.group: "));
}

TEST(Identity, WhatIsNamedAndUnknownIsSaid) {
  Settings settings;
  EXPECT_EQ(unknown_account(settings), "") << "a machine without an agent";
  settings.listen.group = "0";
  EXPECT_EQ(unknown_account(settings), "");
  settings.listen.group = "no-such-group";
  EXPECT_THAT(unknown_account(settings),
              StartsWith("listen.group: this machine has no group \"no-such-group\"; only root"));
  settings.listen.group = "auto";
  settings.agent.group = "no-such-group";
  EXPECT_THAT(unknown_account(settings), StartsWith("agent.group: "));
  settings.agent.group = "auto";
  settings.agent.user = "no-such-user";
  EXPECT_THAT(unknown_account(settings), StartsWith("agent.user: "));
}

}  // namespace
}  // namespace buildwarden
