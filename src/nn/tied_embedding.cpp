// The rows wait where a hook on the table finds them. Autograd calls the hook when all users of the table are through
// with their backward, this embedding among them, and before anything collects the sum.
#include "capstan/nn/tied_embedding.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>
#include <vector>

namespace capstan {

struct TiedEmbedding::Rows {
  std::vector<std::pair<at::Tensor, at::Tensor>> waiting;  // ids [N], gradients [N, D]

  at::Tensor added_to(at::Tensor gradient_VD) {
    const bool alone = !gradient_VD.is_non_overlapping_and_dense();  // one zero that stands for all: no other user
    if (alone && !waiting.empty()) gradient_VD = gradient_VD.contiguous();
    for (const auto& [ids, rows] : std::exchange(waiting, {}))
      gradient_VD.index_add_(0, ids, rows.to(gradient_VD.scalar_type()));
    return gradient_VD;
  }
};

class TiedEmbedding::Lookup : public torch::autograd::Function<TiedEmbedding::Lookup> {
 public:
  struct Target : torch::CustomClassHolder {
    explicit Target(std::shared_ptr<Rows> rows_) : rows(std::move(rows_)) {}
    std::shared_ptr<Rows> rows;
  };

  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& table, const at::Tensor& ids,
                            const c10::intrusive_ptr<Target>& target) {
    context->save_for_backward({ids});
    context->saved_data["target"] = c10::IValue::make_capsule(target);
    context->saved_data["sizes"] = table.sizes();
    return at::embedding(table, ids);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto capsule = context->saved_data.at("target").toCapsule();
    const at::Tensor ids = context->get_saved_variables()[0];
    static_cast<const Target&>(*capsule).rows->waiting.emplace_back(ids.reshape({-1}), gradients[0].flatten(0, -2));
    // Autograd asks for some gradient where the hook is to give one. This one costs no memory and little time.
    const std::vector<std::int64_t> sizes = context->saved_data.at("sizes").toIntVector();
    return {at::zeros({}, gradients[0].options().dtype(at::kFloat)).expand(sizes), at::Tensor(), at::Tensor()};
  }
};

at::Tensor TiedEmbedding::forward(const at::Tensor& table_VD, const at::Tensor& ids) {
  if (!table_VD.is_cpu() || !table_VD.requires_grad() || !at::GradMode::is_enabled())
    return at::embedding(table_VD, ids);
  if (!rows_) {
    rows_ = std::make_shared<Rows>();
    table_VD.register_hook([rows = rows_](at::Tensor gradient) { return rows->added_to(std::move(gradient)); });
  }
  rows_->waiting.clear();  // of a backward that failed half-way
  return Lookup::apply(table_VD, ids, c10::make_intrusive<Lookup::Target>(rows_));
}

}  // namespace capstan
