// What a process may take of the system while a test wants it to run out.
#pragma once
#include <sys/resource.h>

#include <csignal>

namespace capstan::testing {

// While it lives, `resource` (RLIMIT_FSIZE, RLIMIT_DATA) of this process is bounded by `most` bytes. A file that grows
// beyond the bound is an error of write() and no signal.
class ResourceLimit {
 public:
  ResourceLimit(int resource, rlim_t most) : resource_(resource) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(kind(), &before_);
    const rlimit now{.rlim_cur = most, .rlim_max = before_.rlim_max};
    ::setrlimit(kind(), &now);
  }
  ~ResourceLimit() { ::setrlimit(kind(), &before_); }
  ResourceLimit(const ResourceLimit&) = delete;
  ResourceLimit& operator=(const ResourceLimit&) = delete;

 private:
  __rlimit_resource kind() const { return static_cast<__rlimit_resource>(resource_); }
  int resource_;
  rlimit before_{};
};

}  // namespace capstan::testing
