// What a display filter is made of, before its names and types are looked up.
type Placed = { readonly at: number; readonly length: number };
export type Literal = Placed & { readonly kind: "literal"; readonly text: string; readonly quoted: "string" | "char" | undefined };
export type Range = { readonly from: number; readonly to: number | undefined };

export type Entity =
  | Literal
  /** `layers`: only in these layers of its protocol, 1 the outermost, -1 the innermost. */
  | (Placed & { readonly kind: "field"; readonly name: string; readonly layers: readonly Range[] | undefined })
  | (Placed & { readonly kind: "slice"; readonly of: Entity; readonly ranges: readonly Range[] })
  | (Placed & { readonly kind: "call"; readonly name: string; readonly args: readonly Entity[] })
  | (Placed & { readonly kind: "arithmetic"; readonly operator: "+" | "-" | "*" | "/" | "%" | "&"; readonly left: Entity; readonly right: Entity });

export type Comparison = "any_eq" | "all_eq" | "any_ne" | "all_ne" | ">" | "<" | ">=" | "<=" | "contains" | "matches";
export type Condition =
  | { readonly kind: "or" | "and" | "xor"; readonly left: Condition; readonly right: Condition }
  | { readonly kind: "not"; readonly of: Condition }
  | { readonly kind: "exists"; readonly of: Entity }
  | (Placed & {
      readonly kind: "compare";
      readonly operator: Comparison;
      readonly left: Entity;
      readonly right: Entity;
      readonly quantifier: "any" | "all" | undefined;
    })
  | (Placed & {
      readonly kind: "in";
      readonly left: Entity;
      readonly set: readonly { readonly from: Entity; readonly to: Entity | undefined }[];
      readonly quantifier: "any" | "all" | undefined;
    });
