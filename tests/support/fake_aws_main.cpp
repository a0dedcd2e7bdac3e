// The stand-ins of fake_aws.h as a program: prints the addresses of the metadata and of the group, and when it is told
// to end (SIGTERM) what the group was asked and how it ended.
#include <csignal>
#include <cstdio>

#include "tests/support/fake_aws.h"

int main() {
  // Before any thread begins, so that none of them takes the signal.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  const buildwarden::testing::FakeMetadata metadata;
  const buildwarden::testing::FakeGroup group;
  std::printf("%s %s\n", metadata.url().c_str(), group.url().c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  std::printf("%s: %d described, %d accepted, %d smaller\n", group.lifecycle().c_str(),
              group.count("DescribeAutoScalingInstances"), group.accepted(), group.decrements());
  return 0;
}
