// From the engine's logits to what each search chooses from, on the device that the logits are on.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <vector>

#include "generate/search_plan.h"

namespace capstan::search {

class LogitsReader {
 public:
  explicit LogitsReader(const SearchPlan& plan) : plan_(plan) {}
  // logits float32 [rows, V], which are overwritten; `ids_of` gives the text of a row and may be called from several
  // threads. The outcomes hold until the next call.
  std::span<RowOutcome> read(const at::Tensor& logits_RV,
                             const std::function<std::span<const std::int64_t>(std::int64_t)>& ids_of);

 private:
  // On a GPU only the few best are brought over.
  void read_best(const at::Tensor& logits_RV);
  at::Tensor on_host(const at::Tensor& logits_RV);

  const SearchPlan& plan_;
  std::vector<RowOutcome> outcomes_;
  at::Tensor host_RV_;
};

}  // namespace capstan::search
